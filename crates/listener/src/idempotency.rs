//! The `Idempotency-Key` header: read the same way by both listeners.

use http::{HeaderMap, StatusCode};

use crate::{Acceptance, Problem};

/// The header's name.
const NAME: &str = "idempotency-key";

/// The longest key, in characters.
const MAX_CHARS: usize = 255;

/// Why a key is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
enum InvalidKey {
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

/// The request's key, if it has one: 1 to 255 visible ASCII characters; `"k"` and `k` are the same key.
///
/// # Errors
/// 400 for anything else, and for two keys.
pub fn idempotency_key(headers: &HeaderMap) -> Result<Option<String>, Problem> {
    read(headers).map_err(|error| {
        let title = "the idempotency key is not valid";
        Problem::new(StatusCode::BAD_REQUEST, "invalid_idempotency_key", title)
            .detail(error.to_string())
            .accepted(Acceptance::No)
    })
}

fn read(headers: &HeaderMap) -> Result<Option<String>, InvalidKey> {
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
        read(&headers)
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
}
