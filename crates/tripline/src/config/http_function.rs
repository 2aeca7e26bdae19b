//! Functions that are somewhere else: `runtime = "http"`.

use tripline_config::{StringOrSecret, Table};

use super::{headers, url};

/// Keys that only such a function has.
pub(super) const KEYS: [&str; 3] = ["url", "allow_private", "headers"];

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

/// Reads the keys of a function that is reached by HTTP.
pub(super) fn read(table: &mut Table<'_>) -> Option<HttpConfig> {
    let url = url::read(table, "url", "https://jobs.example.com/run");
    let allow_private = table.or("allow_private", false);
    let headers = table
        .section("headers", |table| Some(headers::read(table, &["ce-"])))
        .unwrap_or_default();
    Some(HttpConfig {
        url: url?,
        allow_private,
        headers,
    })
}
