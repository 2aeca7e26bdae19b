//! `[traces]`: where the traces of invocations are sent to, by OTLP over HTTP.

use http::Uri;
use tripline_config::{StringOrSecret, Table};

use super::{headers, url};

/// `[traces]`; without the section nothing is traced.
#[derive(Debug, Clone)]
pub struct TracesConfig {
    /// A collector's address for traces, such as `http://127.0.0.1:4318/v1/traces`. `endpoint`.
    pub endpoint: Uri,
    /// Further headers, such as `authorization`. `headers`.
    pub headers: Vec<(String, StringOrSecret)>,
    /// The share of invocations that is recorded if their sender does not set it, from 0 to 1. `share`, default 1.
    pub share: f64,
}

/// Reads the section.
pub(super) fn read(table: &mut Table<'_>) -> Option<TracesConfig> {
    let endpoint = url::read_endpoint(table, "endpoint", "http://127.0.0.1:4318/v1/traces");
    let headers = table.section("headers", |table| Some(headers::read(table, &[])));
    let share = table.or("share", 1.0);
    if !(0.0..=1.0).contains(&share) {
        let help = "0.1 records every tenth, 1 records all".to_owned();
        table.error("share", "a share lies between 0 and 1", Some(help));
    }
    table.finish();
    Some(TracesConfig {
        endpoint: endpoint?,
        headers: headers.unwrap_or_default(),
        share,
    })
}
