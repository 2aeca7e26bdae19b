//! Recorded traffic of real servers; `tests/fixtures/README.md` says how it came to be.

use serde_json::Value;

pub(crate) const LISTEN_UPLOADS: &str =
    include_str!("../../tests/fixtures/minio/listen-uploads.ndjson");
pub(crate) const LISTEN_VERSIONED: &str =
    include_str!("../../tests/fixtures/minio/listen-versioned.ndjson");

fn file(server: &str, name: &str) -> &'static str {
    match (server, name) {
        ("minio", "webhook") => include_str!("../../tests/fixtures/minio/webhook.ndjson"),
        ("minio", "operations") => include_str!("../../tests/fixtures/minio/operations.ndjson"),
        ("versitygw", "webhook") => include_str!("../../tests/fixtures/versitygw/webhook.ndjson"),
        ("versitygw", "operations") => {
            include_str!("../../tests/fixtures/versitygw/operations.ndjson")
        }
        other => panic!("there is no recording {other:?}"),
    }
}

fn values(server: &str, name: &str) -> Vec<Value> {
    let lines = file(server, name).lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// The calls that were made, in order.
pub(crate) fn operations(server: &str) -> Vec<Value> {
    values(server, "operations")
}

/// The bodies that the webhook got, in order.
pub(crate) fn webhook_bodies(server: &str) -> Vec<String> {
    let requests = values(server, "webhook");
    requests
        .iter()
        .map(|request| request["body"].as_str().unwrap().to_owned())
        .collect()
}
