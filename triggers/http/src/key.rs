//! The `Idempotency-Key` header, and what a request is recognised by when its key comes again.

use http::{HeaderMap, Method, Uri, header};
use sha2::{Digest, Sha256};

/// The header's name.
pub(crate) const NAME: &str = "idempotency-key";

/// The longest key, in characters.
const MAX_CHARS: usize = 255;

/// Why a key is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum InvalidKey {
    /// There are two headers.
    #[error("there is more than one")]
    Several,
    /// There is nothing in it.
    #[error("it is empty")]
    Empty,
    /// It is too long.
    #[error("it has more than {MAX_CHARS} characters")]
    TooLong,
    /// It has characters that are not allowed, or unclosed quotes.
    #[error("it must be visible ASCII characters, bare or in double quotes")]
    Malformed,
}

/// The request's key, if it has one; `"k"` and `k` are the same key.
pub(crate) fn of(headers: &HeaderMap) -> Result<Option<String>, InvalidKey> {
    let mut values = headers.get_all(NAME).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    if values.next().is_some() {
        return Err(InvalidKey::Several);
    }
    let text = value.to_str().map_err(|_| InvalidKey::Malformed)?.trim();
    let key = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest)?,
        None if text.contains('"') => return Err(InvalidKey::Malformed),
        None => text.to_owned(),
    };
    if key.is_empty() {
        return Err(InvalidKey::Empty);
    }
    if key.len() > MAX_CHARS {
        return Err(InvalidKey::TooLong);
    }
    if key.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Some(key))
    } else {
        Err(InvalidKey::Malformed)
    }
}

/// What the request asks for: the same key with another digest is another request.
pub(crate) fn digest(method: &Method, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> [u8; 32] {
    let mut hash = Sha256::new();
    // Each part with its length in front, so that no two requests run together into the same bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_be_bytes());
        hash.update(bytes);
    };
    part(method.as_str().as_bytes());
    part(uri.path().as_bytes());
    part(uri.query().unwrap_or_default().as_bytes());
    let content_type = headers.get(header::CONTENT_TYPE);
    part(content_type.map_or(b"".as_slice(), |value| value.as_bytes()));
    // A CloudEvent in binary form has its attributes in headers.
    let mut attributes: Vec<_> = headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("ce-"))
        .collect();
    attributes.sort_by(|a, b| a.0.as_str().cmp(b.0.as_str()));
    for (name, value) in attributes {
        part(name.as_str().as_bytes());
        part(value.as_bytes());
    }
    part(body);
    hash.finalize().into()
}

fn unquoted(rest: &str) -> Result<String, InvalidKey> {
    let mut key = String::new();
    let mut chars = rest.chars();
    loop {
        match chars.next().ok_or(InvalidKey::Malformed)? {
            '"' if chars.as_str().is_empty() => return Ok(key),
            '"' => return Err(InvalidKey::Malformed),
            '\\' => match chars.next() {
                Some(c @ ('"' | '\\')) => key.push(c),
                _ => return Err(InvalidKey::Malformed),
            },
            c => key.push(c),
        }
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn key(values: &[&[u8]]) -> Result<Option<String>, InvalidKey> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value).expect("a header value");
            headers.append(NAME, value);
        }
        of(&headers)
    }

    #[test]
    fn bare_and_quoted() {
        let longest = "k".repeat(255);
        for (value, expected) in [
            ("abc", "abc"),
            ("\"abc\"", "abc"),
            (" abc ", "abc"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
            ("8e03978e-40d5-43dd", "8e03978e-40d5-43dd"),
            (longest.as_str(), longest.as_str()),
        ] {
            assert_eq!(key(&[value.as_bytes()]), Ok(Some(expected.to_owned())));
        }
        assert_eq!(key(&[]), Ok(None));
    }

    #[test]
    fn evil_keys() {
        let too_long = "k".repeat(256);
        for (values, error) in [
            (vec![b"".as_slice()], InvalidKey::Empty),
            (vec![b"\"\""], InvalidKey::Empty),
            (vec![b"a", b"a"], InvalidKey::Several),
            (vec![too_long.as_bytes()], InvalidKey::TooLong),
            (vec![b"a b"], InvalidKey::Malformed),
            (vec![b"a\tb"], InvalidKey::Malformed),
            (vec![b"\"a"], InvalidKey::Malformed),
            (vec![b"a\""], InvalidKey::Malformed),
            (vec![b"\"a\"b"], InvalidKey::Malformed),
            (vec![b"\"a\\x\""], InvalidKey::Malformed),
            (vec![b"\"a\\"], InvalidKey::Malformed),
            (vec![b"k\xc3\xa4"], InvalidKey::Malformed),
            (vec![b"k\xff"], InvalidKey::Malformed),
        ] {
            assert_eq!(key(&values), Err(error), "{values:?}");
        }
    }

    #[test]
    fn every_part_of_the_request_is_in_the_digest() {
        let of = |method: Method, uri: &str, header: (&'static str, &'static str), body: &str| {
            let uri: Uri = uri.parse().expect("a uri");
            let mut headers = HeaderMap::new();
            headers.insert(header.0, HeaderValue::from_static(header.1));
            digest(&method, &uri, &headers, body.as_bytes())
        };
        let json = ("content-type", "application/json");
        let first = of(Method::POST, "/a?q=1", json, "x");
        assert_eq!(first, of(Method::POST, "/a?q=1", json, "x"));
        for other in [
            of(Method::PUT, "/a?q=1", json, "x"),
            of(Method::POST, "/b?q=1", json, "x"),
            of(Method::POST, "/a?q=2", json, "x"),
            of(Method::POST, "/a?q=1", ("content-type", "text/plain"), "x"),
            of(Method::POST, "/a?q=1", json, "y"),
            of(Method::POST, "/a?q=1", ("ce-type", "t"), "x"),
        ] {
            assert_ne!(first, other);
        }
    }
}
