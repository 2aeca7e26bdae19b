//! Why there is no answer, in a message that helps: nobody is there, the certificate is not trusted, or the address
//! names the wrong scheme.

use std::error::Error;

use reqwest::Url;
use rustls::CertificateError;
use tripline_model::error_chain;

use super::failure::Failure;

/// What `webpki` calls a certificate that may sign others, and so may not stand for a server. It has no name in `rustls`.
const AUTHORITY: &str = "CaUsedAsEndEntity";
/// What `hyper` calls an answer that does not begin as HTTP does: TLS, mostly.
const NO_HTTP: &str = "invalid HTTP version parsed";

/// The failure of a request to `url` that got no answer.
pub(crate) fn lost(url: &Url, error: &reqwest::Error) -> Failure {
    let why = last_cause(error);
    let tls = error_chain(error).find_map(|one| one.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidCertificate(what)) => Failure::Distrusted {
            url: url.to_string(),
            why: distrust(what),
        },
        Some(rustls::Error::InvalidMessage(_)) => other_scheme(url, "TLS", "http"),
        None if url.scheme() == "http" && why == NO_HTTP => other_scheme(url, "HTTP", "https"),
        _ => Failure::Unreachable {
            url: url.to_string(),
            why,
            was_connected: !error.is_connect(),
        },
    }
}

fn other_scheme(url: &Url, spoken: &'static str, scheme: &str) -> Failure {
    let mut other = url.to_string();
    other.replace_range(..url.scheme().len(), scheme);
    Failure::OtherScheme {
        url: url.to_string(),
        spoken,
        other,
    }
}

fn distrust(error: &CertificateError) -> String {
    match error {
        CertificateError::UnknownIssuer => {
            "nobody who is trusted here has signed it, and it is not trusted itself".to_owned()
        }
        CertificateError::Other(other) if other.0.to_string() == AUTHORITY => {
            "it is one that signs others (`CA:TRUE`, as `openssl req -x509` makes them), and cannot stand for a server; \
             make one with `basicConstraints=CA:FALSE`"
                .to_owned()
        }
        other => other.to_string(),
    }
}

/// The last cause says what happened ("connection refused"); the first only that something did.
pub(crate) fn last_cause(error: &(dyn Error + 'static)) -> String {
    error_chain(error).last().unwrap_or(error).to_string()
}
