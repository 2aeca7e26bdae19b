//! The data directory: one hub at a time, taken away while it is used, open to others, and full of what is old.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::process::Stdio;

use nix::unistd::geteuid;
use serde_json::Value;
use tripline_tests::{Hub, eventually};

use super::{CONFIG, answer_to, good_calls, hub, hub_with, no_panic, nothing_ran_twice, receipt};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_hub_holds_up_none_and_of_two_there_is_one() {
    let mut hub = hub().await;
    let running = receipt(&answer_to(&hub, "/stay").await);
    hub.begun(&running).await;
    hub.kill().await;
    // Its executor lives and has the run: it must not have inherited the lock. Two begin at the same moment.
    let mut second = hub
        .command(&["serve", "tripline.toml"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let won = eventually("one of them has it", async || {
        let is_over = second.try_wait().unwrap().is_some();
        let lock = hub.lines("data/lock").concat();
        (is_over || lock == second.id().to_string()).then_some(!is_over)
    })
    .await;
    assert!(won, "nobody was in its way");
    let output = hub.refuses();
    assert_eq!(output.code, 1, "{output:?}");
    let named = format!("in use by the process {}", second.id());
    assert!(output.stderr.contains(&named), "{output:?}");
    second.kill().unwrap();
    second.wait().unwrap();
    hub.launch().await;
    assert_eq!(
        hub.get(&format!("/v1/invocations/{running}")).await["state"],
        "running"
    );
    good_calls(&hub, 1).await;
    nothing_ran_twice(&hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_data_directory_a_hub_gives_no_receipts_and_ends() {
    let mut hub = hub().await;
    let ids = good_calls(&hub, 2).await;
    let gateway = super::address(&hub);
    fs::rename(hub.path("data"), hub.path("elsewhere")).unwrap();
    let mut raw = tripline_tests::Raw::open(&gateway).await;
    raw.send(super::call("/note")).await;
    let answer = raw.answer().await.expect("the call is answered");
    assert_eq!(
        (answer.status, answer.accepted().as_str()),
        (503, "unknown")
    );
    assert_eq!(hub.exited().await.code(), Some(1));
    let log = hub.lines("hub.log").join("\n");
    assert!(log.contains("was removed while the hub used it"), "{log}");
    fs::rename(hub.path("elsewhere"), hub.path("data")).unwrap();
    hub.launch().await;
    assert_eq!(hub.invocations("").await.len(), ids.len());
    good_calls(&hub, 1).await;
    nothing_ran_twice(&hub).await;
    no_panic(&hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_data_directory_that_closes_under_a_hub_costs_no_receipt() {
    let mut hub = Hub::prepare(CONFIG);
    hub.write("ledger", "");
    if geteuid().is_root() {
        // Root is stopped by no mode.
        let everybody = Permissions::from_mode(0o666);
        fs::set_permissions(hub.path("ledger"), everybody).unwrap();
        hub.belong_to_nobody();
    }
    hub.launch().await;
    let mut ids = good_calls(&hub, 2).await;
    let (gateway, data) = (super::address(&hub), hub.path("data"));
    let chmod = |mode| fs::set_permissions(&data, Permissions::from_mode(mode)).unwrap();
    for mode in [0o500, 0o000] {
        chmod(mode);
        let mut raw = tripline_tests::Raw::open(&gateway).await;
        for _ in 0..3 {
            raw.send(super::call("/note")).await;
            let answer = raw.answer().await.expect("the call is answered");
            if answer.status != 503 {
                ids.push(receipt(&answer));
            }
        }
        if mode == 0o000 {
            // Without root, this test cannot look into it either.
            chmod(0o700);
        }
        for id in &ids {
            let ended = hub.ended(id).await;
            let truth = (ended["state"].as_str(), ended["ran"].as_str());
            let well = truth == (Some("succeeded"), Some("yes"));
            assert!(well || truth == (Some("failed"), Some("no")), "{ended}");
        }
        chmod(0o700);
        ids.extend(good_calls(&hub, 1).await);
    }
    hub.kill().await;
    hub.launch().await;
    assert!(hub.invocations("").await.len() >= ids.len());
    for id in &ids {
        let ended = hub.ended(id).await;
        assert_eq!(ended["request_id"], id.as_str(), "{ended}");
    }
    good_calls(&hub, 1).await;
    nothing_ran_twice(&hub).await;
    no_panic(&hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_others_can_read_is_not_used() {
    let mut hub = hub().await;
    hub.kill().await;
    let token = hub.path("data/admin.token");
    fs::set_permissions(&token, Permissions::from_mode(0o644)).unwrap();
    let output = hub.refuses();
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("chmod 600"), "{output:?}");
    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    hub.launch().await;
    good_calls(&hub, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_old_is_forgotten_and_what_lives_is_not() {
    let slow = CONFIG.replace("max_event_age = \"2s\"\n", "");
    let mut hub = hub_with("", &slow).await;
    let (running, waiting) = (
        receipt(&answer_to(&hub, "/stay").await),
        receipt(&answer_to(&hub, "/stay").await),
    );
    hub.begun(&running).await;
    let ended = good_calls(&hub, 20).await;
    hub.kill().await;
    hub.configure(&format!(
        "[hub]\nkeep_ended = \"1ms\"\nmax_journal = \"1MiB\"\n{slow}"
    ));
    hub.launch().await;
    eventually("what has ended is forgotten", async || {
        (hub.invocations("").await.len() == 2).then_some(())
    })
    .await;
    let gone = hub.request(&format!("/v1/invocations/{}", ended[0]));
    assert_eq!(gone.send().await.unwrap().status(), 404);
    for (id, state) in [(running, "running"), (waiting, "accepted")] {
        assert_eq!(
            hub.get(&format!("/v1/invocations/{id}")).await["state"],
            state
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_says_whether_it_is_whole_and_changes_nothing() {
    let mut hub = hub().await;
    good_calls(&hub, 2).await;
    let output = hub.cli(&["journal", "check"]);
    assert_eq!(output.code, 2, "{output:?}");
    let user = format!("in use by the process {}", hub.pid());
    assert!(output.stderr.contains(&user), "{output:?}");
    hub.kill().await;
    let before = files(&hub);
    let output = hub.cli(&["journal", "check", "--json"]);
    assert_eq!(output.code, 0, "{output:?}");
    let found: Value = serde_json::from_str(&output.stdout).unwrap();
    assert_eq!(found["verdict"], "whole", "{found}");
    assert_eq!(found["invocations"]["succeeded"], 2, "{found}");
    assert!(before == files(&hub), "the check changed what is kept");

    // All is in the log. Cut at the end of a transaction, it looks whole, but its index knows better.
    let log = hub.path("data/journal.db-wal");
    let bytes = fs::read(&log).unwrap();
    let frames = bytes[32..].chunks_exact(24 + 8192);
    let ends = frames
        .enumerate()
        .filter(|(_, frame)| frame[4..8] != [0; 4]);
    let ends: Vec<_> = ends.map(|(at, _)| 32 + (at + 1) * (24 + 8192)).collect();
    for end in &ends[..ends.len() - 1] {
        fs::write(&log, &bytes[..*end]).unwrap();
        // But for the lock, which says who tried.
        let journal = |(name, _): &(String, Vec<u8>)| name.contains("/journal.db");
        let kept = || files(&hub).into_iter().filter(journal).collect::<Vec<_>>();
        let cut = kept();
        let output = hub.cli(&["journal", "check"]);
        assert_eq!(output.code, 1, "cut after {end}: {output:?}");
        let output = hub.refuses();
        assert_eq!(output.code, 1, "cut after {end}: {output:?}");
        for word in ["lost: the last transaction", "put a copy of the whole"] {
            assert!(output.stderr.contains(word), "{word}: {output:?}");
        }
        assert!(cut == kept(), "cut after {end}: what is left was changed");
    }
    fs::write(&log, bytes).unwrap();

    // Its third transaction is changed where its page ends: what follows is not lost without a word.
    let mut bytes = fs::read(&log).unwrap();
    bytes[32 + 3 * (24 + 8192) - 1] ^= 1;
    fs::write(&log, bytes).unwrap();
    let output = hub.cli(&["journal", "check", "data"]);
    assert_eq!(output.code, 1, "{output:?}");
    for word in ["data is damaged", "journal.db-wal", "lost", "mend"] {
        assert!(output.stdout.contains(word), "{word}: {output:?}");
    }
    let output = hub.refuses();
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        output.stderr.contains("`tripline journal check "),
        "{output:?}"
    );
    let output = hub.cli(&["journal", "check", "nowhere"]);
    assert_eq!(output.code, 2, "{output:?}");
    fs::create_dir(hub.path("empty")).unwrap();
    let output = hub.cli(&["journal", "check", "./empty/."]);
    assert_eq!(output.code, 2, "{output:?}");
    let none = "error: empty has no journal: name the data directory\n";
    assert_eq!(output.stderr, none);
}

/// What the data directory keeps: the journal, with SQLite's index of its log, and the logs, whose indices are made anew.
fn files(hub: &Hub) -> Vec<(String, Vec<u8>)> {
    let dirs = [hub.path("data"), hub.path("data/logs")];
    let entries = dirs.iter().flat_map(|dir| fs::read_dir(dir).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    let kept = paths.filter(|path| path.is_file());
    let mut files: Vec<_> = kept
        .map(|path| (path.display().to_string(), fs::read(&path).unwrap()))
        .filter(|(name, _)| name.ends_with("journal.db-shm") || !name.ends_with("-shm"))
        .collect();
    files.sort();
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_says_when_nothing_shows_that_the_journal_is_all_there() {
    let mut hub = hub().await;
    let said = |hub: &Hub| {
        let lines = hub.lines("hub.log").into_iter();
        let said = lines.filter(|line| line.contains("cannot be shown to be all there"));
        said.collect::<Vec<_>>()
    };
    let mut receipts = good_calls(&hub, 3).await;
    hub.kill().await;
    hub.launch().await;
    receipts.extend(good_calls(&hub, 1).await);
    assert!(
        said(&hub).is_empty(),
        "a kill leaves the index: {:?}",
        said(&hub)
    );
    hub.kill().await;
    fs::remove_file(hub.path("data/journal.db-shm")).unwrap();
    let check = hub.cli(&["journal", "check"]);
    assert!(
        check.code == 0 && check.stdout.contains("is recoverable"),
        "{check:?}"
    );
    assert!(
        check.stdout.contains("cannot be shown to be all there"),
        "{check:?}"
    );
    hub.launch().await;
    let warned = said(&hub);
    assert!(
        warned.len() == 1 && warned[0].contains("WARN"),
        "{warned:?}"
    );
    // It is no refusal, and is said once.
    for id in receipts {
        assert_eq!(hub.ended(&id).await["state"], "succeeded");
    }
    hub.kill().await;
    hub.launch().await;
    assert_eq!(said(&hub).len(), 1);
}
