//! `headers` of requests that the hub sends.

use tripline_config::{Scalar, StringOrSecret, Table};

/// Headers that every request sets itself.
const OURS: [&str; 5] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
];

/// Reads the table; the hub also sets those that begin with one of `prefixes`.
pub(super) fn read(table: &mut Table<'_>, prefixes: &[&str]) -> Vec<(String, StringOrSecret)> {
    let mut headers = Vec::new();
    for (
        name,
        Scalar {
            text,
            secret,
            location,
        },
    ) in table.named_values()
    {
        let lower = name.to_ascii_lowercase();
        let is_ours = OURS.contains(&lower.as_str())
            || prefixes.iter().any(|prefix| lower.starts_with(prefix));
        if http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
            let message = format!("`{}` is not a name for a header", name.escape_debug());
            table.error_at(&location, message, None);
        } else if is_ours {
            table.error_at(&location, "this header is set by the hub", None);
        }
        // A secret is looked at when it is read.
        if http::HeaderValue::from_str(&text).is_err() {
            let help = "a header's value is one line, without control characters".to_owned();
            table.error_at(&location, "this is not a value for a header", Some(help));
        }
        let value = secret.map_or(StringOrSecret::Text(text), StringOrSecret::Secret);
        headers.push((lower, value));
    }
    table.finish();
    headers
}
