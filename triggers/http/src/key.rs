//! What a request is recognised by when its `Idempotency-Key` comes again.

use http::{HeaderMap, Method, Uri, header};
use sha2::{Digest, Sha256};

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

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

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
