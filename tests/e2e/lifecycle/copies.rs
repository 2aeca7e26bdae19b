//! A data directory that was copied: from a backup, or to another disk.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tripline_tests::{Hub, Output};

use super::{answer_to, good_calls, hub, nothing_ran_twice, receipt};

#[tokio::test(flavor = "multi_thread")]
async fn of_an_old_copy_nothing_is_run_again() {
    let (mut hub, running, waiting) = copied().await;
    let output = hub.refuses();
    assert_eq!(output.code, 1, "{output:?}");
    let hint = output
        .stderr
        .split('`')
        .nth(1)
        .expect("it says what to type");
    let hint: Vec<&str> = hint.split(' ').collect();
    assert_eq!(hint[..3], ["tripline", "journal", "adopt"]);
    let doctor = hub.cli(&["doctor"]);
    assert_eq!(doctor.code, 1, "{doctor:?}");
    assert!(doctor.stdout.contains("FAIL data directory"), "{doctor:?}");
    assert!(doctor.stdout.contains("journal adopt"), "{doctor:?}");
    let output = hub.cli(&["journal", "check", "--json"]);
    assert_eq!((output.code, verdict(&output).as_str()), (1, "copied"));

    let output = hub.cli(&["journal", "adopt"]);
    assert_eq!(output.code, 2, "one has to say which it is: {output:?}");
    let output = hub.cli(&hint[1..]);
    assert_eq!(output.code, 0, "{output:?}");
    assert!(
        output.stdout.contains("1  waiting events cancelled")
            && output.stdout.contains("1  runs lost"),
        "{output:?}"
    );
    let output = hub.cli(&["journal", "adopt", "data", "--old"]);
    assert_eq!(output.code, 1, "it is no copy any more: {output:?}");

    hub.launch().await;
    for (id, state) in [(running, "lost"), (waiting, "cancelled")] {
        let record = hub.get(&format!("/v1/invocations/{id}")).await;
        assert_eq!(record["state"], state, "{record}");
        assert_eq!(record["reason"], "old_copy", "{record}");
        assert_eq!(record["ran"], "unknown", "{record}");
    }
    good_calls(&hub, 1).await;
    nothing_ran_twice(&hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_was_moved_goes_on_where_it_was() {
    let (mut hub, running, waiting) = copied().await;
    let output = hub.cli(&["journal", "adopt", "--current"]);
    assert_eq!(output.code, 0, "{output:?}");
    hub.launch().await;
    hub.begun(&waiting).await;
    let record = hub.get(&format!("/v1/invocations/{running}")).await;
    assert_eq!(record["state"], "lost", "it did not come along: {record}");
    good_calls(&hub, 1).await;
}

/// A hub that was killed and has a copy for its data directory, and two of its events: one that ran, one that waits.
async fn copied() -> (Hub, String, String) {
    let mut hub = hub().await;
    let (running, waiting) = (
        receipt(&answer_to(&hub, "/stay").await),
        receipt(&answer_to(&hub, "/stay").await),
    );
    hub.begun(&running).await;
    hub.kill().await;
    replace_by_copy(&hub);
    (hub, running, waiting)
}

/// As a backup that is put back: the same bytes in other files.
fn replace_by_copy(hub: &Hub) {
    let (data, copy) = (hub.path("data"), hub.path("copy"));
    let copied = Command::new("cp")
        .arg("-a")
        .args([&data, &copy])
        .status()
        .unwrap();
    assert!(copied.success());
    fs::rename(&data, hub.path("original")).unwrap();
    fs::rename(&copy, &data).unwrap();
}

fn verdict(output: &Output) -> String {
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    found["verdict"].as_str().unwrap_or_default().to_owned()
}
