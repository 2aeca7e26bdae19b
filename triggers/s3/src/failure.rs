//! What the store answers when it does not do as asked, in one printable line.

use std::error::Error;

use aws_credential_types::Credentials;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use tripline_config::is_hazardous;
use tripline_model::error_chain;

/// The longest text of an error's causes, in characters.
const MAX_CAUSES_CHARS: usize = 300;

/// The store did not do as asked.
#[derive(Debug, thiserror::Error)]
#[error("{at}{what}: {why}")]
pub(crate) struct StoreError {
    /// The bucket or endpoint, with a colon, if that is known.
    at: String,
    what: &'static str,
    why: String,
}

// === impl StoreError ===

impl StoreError {
    pub(crate) fn because(what: &'static str, why: String) -> Self {
        let at = String::new();
        Self { at, what, why }
    }

    /// Names the endpoint or the bucket that it is about: a hub may have many.
    pub(crate) fn at(self, place: &str) -> Self {
        let at = format!("{place}: ");
        Self { at, ..self }
    }

    /// With the error that is the reason.
    pub(crate) fn new(what: &'static str, why: &dyn Error) -> Self {
        Self::because(what, causes(why))
    }

    /// Of a request that got no answer. The URL is left out: it says nothing new, and has a query.
    pub(crate) fn unanswered(what: &'static str, err: reqwest::Error) -> Self {
        let (is_lost, err) = (err.is_connect(), err.without_url());
        Self::because(what, no_answer(&err, is_lost))
    }

    /// With the server's own words, but without the ids of the request, which differ at every attempt, and without the
    /// keys, should it repeat them.
    pub(crate) fn asked<E>(what: &'static str, err: &SdkError<E>, keys: &Credentials) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = err.raw_response().map(|answer| answer.status().as_u16());
        let why = match (status, err.code()) {
            (Some(status), Some(code)) => {
                let message = err.message().unwrap_or_default();
                let mut text = format!("{status} {code}: {message}");
                for key in [keys.access_key_id(), keys.secret_access_key()] {
                    text = text.replace(key, "(..)");
                }
                printable(&text)
            }
            (Some(status), None) => without_words(status, content_type(err)),
            (None, _) => no_answer(err, matches!(err, SdkError::DispatchFailure(_))),
        };
        Self::because(what, why)
    }
}

fn content_type<E>(err: &SdkError<E>) -> Option<&str> {
    err.raw_response()?.headers().get("content-type")
}

/// An answer that has no error of a store in it. Consoles and other web servers give their pages for everything.
fn without_words(status: u16, content_type: Option<&str>) -> String {
    let is_page = content_type.is_some_and(|kind| kind.starts_with("text/html"));
    if !is_page && !(200..300).contains(&status) {
        return status.to_string();
    }
    let kind = content_type.unwrap_or("of no content type");
    printable(&format!(
        "{status}, but the answer ({kind}) is none of a store: is `endpoint` the address of its S3 API, not of its console?"
    ))
}

/// Why there is no answer. Of a connection that is lost only the last cause says something.
fn no_answer(err: &(dyn Error + 'static), is_lost: bool) -> String {
    let tls = error_chain(err).find_map(|one| one.downcast_ref::<rustls::Error>());
    match tls {
        Some(rustls::Error::InvalidMessage(_)) => {
            "the endpoint does not speak TLS; write http://".to_owned()
        }
        None if is_lost => {
            let last = error_chain(err).last().unwrap_or(err);
            printable(&format!("the endpoint cannot be reached: {last}"))
        }
        _ => causes(err),
    }
}

/// An error with all its causes, in one line.
pub(crate) fn causes(err: &dyn Error) -> String {
    let mut text = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        text = format!("{text}: {err}");
        cause = err.source();
    }
    printable(&text)
}

/// Servers write parts of errors.
fn printable(text: &str) -> String {
    let line = text.replace(is_hazardous, " ");
    line.chars().take(MAX_CAUSES_CHARS).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_told_from_the_answer_of_a_store() {
        assert_eq!(without_words(404, Some("application/xml")), "404");
        assert_eq!(without_words(403, None), "403");
        for (status, kind) in [(200, "text/html; charset=utf-8"), (404, "text/html")] {
            let text = without_words(status, Some(kind));
            assert!(text.starts_with(&format!("{status}, but the answer ({kind})")));
            assert!(text.ends_with("not of its console?"), "{text}");
        }
        let text = without_words(200, Some("application/json"));
        assert!(text.contains("S3 API"), "{text}");
    }
}
