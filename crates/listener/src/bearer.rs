//! Bearer tokens.

use std::fmt;

use http::{HeaderMap, header};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

/// Lets those in who know a token. Only the token's digest is kept, and it is compared in constant time.
#[derive(Clone)]
pub struct Bearer {
    digest: [u8; 32],
}

// === impl Bearer ===

impl Bearer {
    /// A door that `token` opens.
    pub fn new(token: &str) -> Self {
        Self {
            digest: digest(token.as_bytes()),
        }
    }

    /// Whether the headers hold exactly one `Authorization: Bearer TOKEN` with the right token. An empty token never
    /// opens anything.
    pub fn allows(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return false;
        };
        let Some((scheme, token)) = split_scheme(value.as_bytes()) else {
            return false;
        };
        let right = self.digest.ct_eq(&digest(token));
        scheme.eq_ignore_ascii_case(b"bearer") && !token.is_empty() && bool::from(right)
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(***)")
    }
}

fn split_scheme(value: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = value.iter().position(|byte| *byte == b' ')?;
    Some((&value[..space], value[space + 1..].trim_ascii()))
}

fn digest(token: &[u8]) -> [u8; 32] {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(values: &[&str]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                header::AUTHORIZATION,
                value.parse().expect("a header value"),
            );
        }
        headers
    }

    #[test]
    fn only_the_token_opens() {
        let bearer = Bearer::new("s3cret");
        for good in ["Bearer s3cret", "bearer s3cret", "BEARER  s3cret"] {
            assert!(bearer.allows(&headers(&[good])), "{good}");
        }
        for bad in [
            "Bearer s3cre",
            "Bearer s3crets",
            "Bearer S3cret",
            "Bearer",
            "Bearer ",
            "s3cret",
            "Basic s3cret",
            "Bearers3cret",
        ] {
            assert!(!bearer.allows(&headers(&[bad])), "{bad}");
        }
        assert!(!bearer.allows(&HeaderMap::new()));
    }

    #[test]
    fn two_headers_open_nothing() {
        let bearer = Bearer::new("s3cret");
        assert!(!bearer.allows(&headers(&["Bearer s3cret", "Bearer s3cret"])));
        assert!(!bearer.allows(&headers(&["Bearer wrong", "Bearer s3cret"])));
    }

    #[test]
    fn an_empty_token_opens_nothing_and_nothing_is_shown() {
        assert!(!Bearer::new("").allows(&headers(&["Bearer "])));
        assert!(!format!("{:?}", Bearer::new("s3cret")).contains("s3cret"));
    }
}
