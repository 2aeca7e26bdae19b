//! What tests wait for.

use serde_json::Value;

use super::Hub;
use crate::{eventually, processes_with, request_ids_alive};

impl Hub {
    /// Waits until the invocation is running.
    pub async fn running(&self, request_id: &str) {
        eventually(&format!("{request_id} is running"), async || {
            let found = self.get(&format!("/v1/invocations/{request_id}")).await;
            (found["state"] == "running").then_some(())
        })
        .await;
    }

    /// Waits until there is a process of the invocation: then an executor has it, and it outlives the hub. It counts as
    /// running a moment earlier, and a hub that dies in that moment loses it.
    pub async fn begun(&self, request_id: &str) {
        let mark = format!("TRIPLINE_REQUEST_ID={request_id}");
        eventually(&format!("{request_id} has a process"), async || {
            (!processes_with(&mark).is_empty()).then_some(())
        })
        .await;
    }

    /// Waits for the first line of a log that is meant, and gives it.
    pub async fn line(&self, request_id: &str, is_meant: impl Fn(&str) -> bool) -> String {
        eventually(&format!("a line of {request_id}"), async || {
            let log = self.log(request_id).await;
            let mut texts = log.iter().filter_map(|line| line["text"].as_str());
            texts.find(|text| is_meant(text)).map(str::to_owned)
        })
        .await
    }

    /// Waits until the invocation has ended, and gives it.
    pub async fn ended(&self, request_id: &str) -> Value {
        eventually(&format!("{request_id} has ended"), async || {
            let found = self.get(&format!("/v1/invocations/{request_id}")).await;
            let state = found["state"].as_str()?;
            (!matches!(state, "accepted" | "running")).then_some(found)
        })
        .await
    }

    /// Sees to it that nothing is alive of an invocation that was just seen as ended, or that it shows `reclaim_pending`
    /// until nothing is. That is looked at once, and not waited for.
    ///
    /// # Panics
    /// Something is alive, and the hub says that nothing is.
    pub async fn reclaimed(&self, request_id: &str) {
        let url = format!("/v1/invocations/{request_id}");
        eventually(
            &format!("{request_id} shows no reclaim_pending"),
            async || {
                let before = self.get(&url).await;
                if before["reclaim_pending"] == true {
                    return None;
                }
                if request_ids_alive().contains(request_id) {
                    // A hub shows it a moment after the end.
                    let after = self.get(&url).await;
                    assert_eq!(
                        after["reclaim_pending"], true,
                        "alive: {before}, then {after}"
                    );
                    return None;
                }
                Some(())
            },
        )
        .await;
    }

    /// Waits until at least `count` invocations of the trigger have ended, and gives all of them.
    pub async fn ended_of(&self, trigger: &str, count: usize) -> Vec<Value> {
        eventually(
            &format!("{count} invocations of {trigger} have ended"),
            async || {
                let found = self.invocations(&format!("trigger={trigger}")).await;
                let over =
                    |one: &Value| !matches!(one["state"].as_str(), Some("accepted" | "running"));
                (found.len() >= count && found.iter().all(over)).then_some(found)
            },
        )
        .await
    }
}
