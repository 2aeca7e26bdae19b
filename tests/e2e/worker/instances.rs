//! How long instances live.

use std::time::Duration;

use serde_json::json;
use tripline_tests::{Hub, eventually_within, is_alive};

use super::client::{Client, answer, pid};
use super::{USUAL, is};

/// Waits until the function has so many instances, and gives them.
async fn count(hub: &Hub, function: &str, count: usize) -> Vec<i32> {
    count_within(Duration::from_secs(60), hub, function, count).await
}

async fn count_within(limit: Duration, hub: &Hub, function: &str, count: usize) -> Vec<i32> {
    eventually_within(
        limit,
        &format!("{count} instances of {function}"),
        async || {
            let instances = hub.instances(function);
            (instances.len() == count).then_some(instances)
        },
    )
    .await
}

pub(super) async fn are_kept_warm(client: &Client) {
    let hub = client
        .hub(&client.function("f", "min_instances = 2\nevent_format = \"raw\"", &[]))
        .await;
    let warm = count(&hub, "f", 2).await;
    let first = pid(&hub, "f").await;
    assert!(warm.contains(&first), "{first} is none of {warm:?}");
    // One that fails is replaced before there is work for the next.
    let id = hub.invoke("f", r#"{"do":"crash"}"#).await;
    is(&hub, &hub.ended(&id).await, "failed", 439, "crashed").await;
    let dead: Vec<_> = warm.iter().filter(|pid| !is_alive(**pid)).collect();
    assert_eq!(dead.len(), 1, "one of {warm:?} crashed");
    let now = count(&hub, "f", 2).await;
    assert!(!now.contains(dead[0]), "{now:?}");
}

pub(super) async fn are_ended_when_idle(client: &Client) {
    let keys = "concurrency = 2\nevent_format = \"raw\"\nidle_timeout = \"1s\"\nmin_instances = 1\nmax_instances = 2";
    let hub = client.hub(&client.function("f", keys, &[])).await;
    // Two at once need two instances.
    let go = hub.path("go").display().to_string();
    let wait = json!({ "do": "wait", "value": go }).to_string();
    let ids = [
        hub.invoke("f", wait.clone()).await,
        hub.invoke("f", wait).await,
    ];
    for id in &ids {
        hub.line(id, |text| text.contains("doing wait")).await;
    }
    assert_eq!(hub.instances("f").len(), 2);
    hub.write("go", "");
    for id in &ids {
        is(&hub, &hub.ended(id).await, "succeeded", 200, "answered").await;
    }
    // Well before the time to get ready, 30 s, is over: that is looked at for its own sake.
    let soon = Duration::from_secs(20);
    let left = count_within(soon, &hub, "f", 1).await;
    assert_eq!(
        pid(&hub, "f").await,
        left[0],
        "the one that stays still works"
    );
}

pub(super) async fn outlive_the_hub(client: &Client) {
    let mut hub = client.hub(&client.function("f", USUAL, &[])).await;
    let warm = pid(&hub, "f").await;
    let go = hub.path("go").display().to_string();
    let wait = json!({ "do": "wait", "value": go }).to_string();
    let id = hub.invoke("f", wait).await;
    hub.line(&id, |text| text.contains("doing wait")).await;
    hub.kill().await;
    assert!(is_alive(warm), "it works on without a hub");
    hub.launch().await;
    let found = hub.get(&format!("/v1/invocations/{id}")).await;
    assert_eq!(found["state"], "running", "{found}");
    hub.write("go", "");
    let ended = hub.ended(&id).await;
    is(&hub, &ended, "succeeded", 200, "answered").await;
    let answered = answer(&hub, &ended).await;
    assert_eq!(
        (&answered["count"], &answered["pid"]),
        (&json!(2), &json!(warm))
    );
    let own = super::written(&hub, &ended).await;
    let lines = own.iter().filter(|line| line.contains("doing wait"));
    assert_eq!(lines.count(), 1, "{own:?}");
    assert_eq!(pid(&hub, "f").await, warm, "it is warm for the new hub");
}
