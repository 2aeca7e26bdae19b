//! Functions that are somewhere else: `runtime = "http"`.

use tripline_config::{Scalar, StringOrSecret, Table};

/// Where events are posted to.
#[derive(Debug, Clone)]
pub struct HttpConfig {
    /// `url`, `http` or `https`.
    pub url: http::Uri,
    /// Whether addresses of this machine and of private networks may be reached. `allow_private`, default no.
    pub allow_private: bool,
    /// Further request headers. `headers`.
    pub headers: Vec<(String, StringOrSecret)>,
}

/// Headers that the request sets itself.
const OURS: [&str; 5] = [
    "host",
    "content-length",
    "content-type",
    "transfer-encoding",
    "connection",
];

/// Reads the keys of a function that is reached by HTTP.
pub(super) fn read(table: &mut Table<'_>) -> Option<HttpConfig> {
    let text = table.required_such_as::<String>("url", "\"https://jobs.example.com/run\"");
    let allow_private = table.or("allow_private", false);
    let headers = table
        .section("headers", |headers| Some(read_headers(headers)))
        .unwrap_or_default();
    let url = text.and_then(|text| {
        let url = text.parse::<http::Uri>().ok().filter(|url| {
            let is_http = matches!(url.scheme_str(), Some("http" | "https"));
            let has_user = url.authority().is_some_and(|at| at.as_str().contains('@'));
            is_http && !has_user
        });
        if url.is_none() {
            let help = "such as \"https://thumbs.example/events\", without a user; a token goes into `headers`";
            table.error("url", "this is not a URL to post to", Some(help.to_owned()));
        }
        url
    });
    Some(HttpConfig {
        url: url?,
        allow_private,
        headers,
    })
}

fn read_headers(table: &mut Table<'_>) -> Vec<(String, StringOrSecret)> {
    let mut headers = Vec::new();
    for (
        name,
        Scalar {
            text,
            secret,
            location,
        },
    ) in table.rest()
    {
        let lower = name.to_ascii_lowercase();
        if http::HeaderName::from_bytes(lower.as_bytes()).is_err() {
            table.error_at(&location, "this is not a name for a header", None);
        } else if OURS.contains(&lower.as_str()) || lower.starts_with("ce-") {
            table.error_at(&location, "this header is set by the hub", None);
        }
        let value = secret.map_or(StringOrSecret::Text(text), StringOrSecret::Secret);
        headers.push((lower, value));
    }
    table.finish();
    headers
}
