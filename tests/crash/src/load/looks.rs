//! Somebody who looks at the newest invocations all the time: no state may ever go back.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{Pace, client};
use crate::history::History;

const EVERY: Duration = Duration::from_millis(150);

pub(super) async fn look(data: PathBuf, history: History, stop: CancellationToken) {
    let client = client();
    let mut pace = Pace::new(EVERY, stop);
    while pace.next().await {
        // A hub that is down is nothing to look at.
        let Some(page) = page(&client, &data).await else {
            continue;
        };
        for one in page["invocations"].as_array().into_iter().flatten() {
            if let (Some(id), Some(state)) = (one["request_id"].as_str(), one["state"].as_str()) {
                history.saw(id, state);
            }
        }
    }
}

async fn page(client: &Client, data: &Path) -> Option<Value> {
    let address = fs::read_to_string(data.join("admin.json")).ok()?;
    let address: Value = serde_json::from_str(&address).ok()?;
    let token = fs::read_to_string(data.join("admin.token")).ok()?;
    let url = format!("{}/v1/invocations?limit=200", address["url"].as_str()?);
    let request = client.get(url).bearer_auth(token.trim());
    let answer = request.send().await.ok()?;
    answer.json().await.ok()
}
