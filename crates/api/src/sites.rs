//! Requests for web pages of other sites. A browser sends them on a page's behalf, from the machine of whoever views the
//! page, and marks them in a header.

use http::{HeaderMap, HeaderName, header};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a browser sent this for a page that is not the hub's own. Programs that are no browsers send neither header.
pub(crate) fn is_of_another(headers: &HeaderMap) -> bool {
    let site_is_ours = |value: &[u8]| matches!(value, b"same-origin" | b"none");
    let sites = headers.get_all(SEC_FETCH_SITE);
    if sites.iter().any(|value| !site_is_ours(value.as_bytes())) {
        return true;
    }
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let mut origins = headers.get_all(header::ORIGIN).iter();
    // The host is known to be ours. A page at another port of the same machine is another site: anybody may serve it.
    origins.any(|origin| {
        let origin = origin
            .to_str()
            .ok()
            .and_then(|origin| origin.split_once("://"));
        let (Some((_, origin)), Some(host)) = (origin, host) else {
            return true;
        };
        !origin.eq_ignore_ascii_case(host)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.append("host", "localhost:8081".parse().expect("a value"));
        for (name, value) in pairs {
            headers.append(*name, value.parse().expect("a value"));
        }
        headers
    }

    #[test]
    fn our_own_and_programs() {
        for own in [
            &[][..],
            &[("sec-fetch-site", "same-origin")],
            &[("sec-fetch-site", "none")],
            &[("origin", "http://localhost:8081")],
            &[
                ("origin", "https://LOCALHOST:8081"),
                ("sec-fetch-site", "same-origin"),
            ],
        ] {
            assert!(!is_of_another(&headers(own)), "{own:?}");
        }
    }

    #[test]
    fn pages_of_others() {
        for other in [
            &[("origin", "null")][..],
            &[("origin", "")],
            &[("origin", "http://evil.example")],
            &[("origin", "http://localhost:8082")],
            &[("origin", "http://localhost")],
            &[("origin", "http://localhost:8081.evil.example")],
            &[("origin", "http://localhost:8081/")],
            &[("origin", "http://evil@localhost:8081")],
            &[("origin", "file://")],
            &[("origin", "http://localhost:8081 http://evil.example")],
            &[
                ("origin", "http://localhost:8081"),
                ("origin", "http://evil.example"),
            ],
            &[("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-site")],
            &[("sec-fetch-site", "Same-Origin")],
            &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
            &[
                ("origin", "http://localhost:8081"),
                ("sec-fetch-site", "cross-site"),
            ],
        ] {
            assert!(is_of_another(&headers(other)), "{other:?}");
        }
    }
}
