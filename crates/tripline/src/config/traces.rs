//! `[traces]`: where the traces of invocations are sent to, by OTLP over HTTP.

use http::Uri;
use tripline_config::{StringOrSecret, Table};

/// `[traces]`; without the section nothing is traced.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// A collector's address for traces, such as `http://127.0.0.1:4318/v1/traces`. `endpoint`.
    pub endpoint: Uri,
    /// Further headers, such as `authorization`. `headers`.
    pub headers: Vec<(String, StringOrSecret)>,
    /// The share of invocations that is recorded if their sender does not say, from 0 to 1. `share`, default 1.
    pub share: f64,
}

/// Reads the section.
pub(super) fn read(table: &mut Table<'_>) -> Option<TracesConfig> {
    let endpoint =
        table.required_such_as::<String>("endpoint", "\"http://127.0.0.1:4318/v1/traces\"");
    let headers = table.section("headers", |headers| {
        let all = headers.rest().into_iter().map(|(name, value)| {
            let text = StringOrSecret::Text(value.text);
            (name, value.secret.map_or(text, StringOrSecret::Secret))
        });
        let all = all.collect();
        headers.finish();
        Some(all)
    });
    let share = table.or("share", 1.0);
    if !(0.0..=1.0).contains(&share) {
        let help = "0.1 records every tenth, 1 records all".to_owned();
        table.error("share", "a share lies between 0 and 1", Some(help));
    }
    let uri = endpoint
        .as_deref()
        .and_then(|text| text.parse::<Uri>().ok());
    let is_url =
        |uri: &Uri| matches!(uri.scheme_str(), Some("http" | "https")) && uri.host().is_some();
    let uri = uri.filter(is_url);
    if endpoint.is_some() && uri.is_none() {
        let help = "write endpoint = \"http://127.0.0.1:4318/v1/traces\"".to_owned();
        table.error("endpoint", "this is not a URL to post to", Some(help));
    }
    table.finish();
    Some(TracesConfig {
        endpoint: uri?,
        headers: headers.unwrap_or_default(),
        share,
    })
}
