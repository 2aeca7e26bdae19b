//! Somebody who looks at the newest invocations all the time: no state may ever go back, and of what has just ended nothing
//! may be alive that the hub does not show. Functions hold no secrets but their own meanwhile.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use reqwest::Client;
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tripline_tests::request_ids_alive;

use super::{Pace, client};
use crate::history::History;
use crate::secrets;

const EVERY: Duration = Duration::from_millis(150);

pub(super) async fn look(data: PathBuf, history: History, stop: CancellationToken) {
    let client = client();
    let mut pace = Pace::new(EVERY, stop);
    while pace.next().await {
        let (leaks, was_kept) = secrets::of_functions(&data);
        history.noted(leaks, was_kept);
        // A hub that is down is nothing to look at.
        let Some(page) = page(&client, &data).await else {
            continue;
        };
        let mut over = BTreeSet::new();
        for one in shown(&page) {
            if let Some(state) = one["state"].as_str()
                && history.saw(id(one), state)
            {
                over.insert(id(one).to_owned());
            }
        }
        over.retain(|one| !pending(&page).contains(one.as_str()));
        let outlived: Vec<_> = request_ids_alive().intersection(&over).cloned().collect();
        if outlived.is_empty() {
            continue;
        }
        // A hub shows that it waits a moment after the end. One that died meanwhile cannot say.
        if let Some(page) = self::page(&client, &data).await {
            let (there, pending) = (
                shown(&page).map(id).collect::<BTreeSet<_>>(),
                pending(&page),
            );
            let is_wrong =
                |one: &String| there.contains(one.as_str()) && !pending.contains(one.as_str());
            let wrong = outlived.into_iter().filter(is_wrong);
            history.lock().outlived.extend(wrong);
        }
    }
}

fn shown(page: &Value) -> impl Iterator<Item = &Value> {
    page["invocations"].as_array().into_iter().flatten()
}

fn id(one: &Value) -> &str {
    one["request_id"].as_str().unwrap_or_default()
}

/// Those of which something is alive, by the hub's own words.
fn pending(page: &Value) -> BTreeSet<&str> {
    let all = shown(page).filter(|one| one["reclaim_pending"] == true);
    all.map(id).collect()
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
