//! The Listen stream, and the listing that makes up for its gaps.

use std::time::Duration;

use tripline_model::Rejected;
use tripline_trigger::testkit::{Run, TestContext};
use tripline_trigger::{FactValue, TriggerState};

use super::fixtures::{LISTEN_UPLOADS, operations};
use super::store::Store;
use super::{around, is_synthetic, noon, restarted, subjects, trigger};

async fn listening(store: &Store, around: &TestContext, more: &str) -> Run {
    let text = format!("mode = 'listen'\nheartbeat = '1s'\n{more}");
    let run = around.run(trigger(&store.endpoint, &text));
    run.wait_state(TriggerState::Running).await;
    run
}

/// What is reported of a stream that is not there; bucket and endpoint are always named.
async fn trouble(run: &Run, store: &Store) -> String {
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.unwrap();
    let of = format!("bucket `uploads` at {}: ", store.endpoint);
    let why = error.strip_prefix(&of);
    why.unwrap_or_else(|| panic!("{error}")).to_owned()
}

async fn stop(run: Run) {
    run.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn the_recorded_stream_gives_every_creation() {
    let (store, around) = (Store::start().await, around());
    let run = listening(&store, &around, "").await;
    LISTEN_UPLOADS
        .lines()
        .for_each(|line| store.send_line(line));
    let made = operations("minio").into_iter().filter(|call| {
        let makes = ["put_object", "copy_object", "complete_multipart_upload"];
        let op = call["op"].as_str().unwrap();
        let failed = call["result"].get("error").is_some();
        makes.contains(&op) && call["args"]["Bucket"] == "uploads" && !failed
    });
    let mut keys: Vec<String> = made
        .map(|call| call["args"]["Key"].as_str().unwrap().to_owned())
        .collect();
    keys.sort_unstable();
    let accepted = around.dispatch().wait_accepted(keys.len()).await;
    assert_eq!(subjects(accepted.iter().map(|(_, offer)| offer)), keys);
    stop(run).await;
    assert_eq!(around.dispatch().offered().len(), keys.len());
}

#[tokio::test]
async fn notification_and_listing_of_one_object_give_one_receipt() {
    for (listed_first, settle) in [(true, "0s"), (false, "0s")] {
        let (store, around) = (Store::start().await, around());
        let more = format!("settle = '{settle}'\nreconcile_interval = '100ms'\n");
        let run = listening(&store, &around, &more).await;
        let at = noon(-60);
        if listed_first {
            store.put("k", "", "e", at);
            around.dispatch().wait_accepted(1).await;
            store.notify("k", "e", at);
            around.dispatch().wait_offered(2).await;
        } else {
            store.notify("k", "e", at);
            around.dispatch().wait_accepted(1).await;
            store.put("k", "", "e", at);
        }
        store.wait_listings(store.listings() + 4).await;
        stop(run).await;
        assert_eq!(
            around.dispatch().accepted().len(),
            1,
            "listed first: {listed_first}"
        );
    }
}

#[tokio::test]
async fn what_is_said_into_a_gap_is_found_and_counted() {
    let (store, around) = (Store::start().await, around());
    let run = listening(&store, &around, "reconcile_interval = '1h'\n").await;
    store.wait_listings(2).await;
    store.put("lost", "", "e", noon(-60));
    store.cut();
    let why = trouble(&run, &store).await;
    assert!(why.contains("the Listen stream"), "{why}");
    store.wait_streams(2).await;
    let accepted = around.dispatch().wait_accepted(1).await;
    assert!(is_synthetic(&accepted[0].1));
    store.notify("heard", "e", noon(0));
    around.dispatch().wait_accepted(2).await;
    assert_eq!(run.status().facts["missed"], FactValue::Count(1));
    stop(run).await;
}

#[tokio::test]
async fn a_stream_without_heartbeat_is_left() {
    let (store, around) = (Store::start().await, around());
    store.mute(true);
    let run = listening(&store, &around, "").await;
    let why = trouble(&run, &store).await;
    assert!(why.contains("no heartbeat for 3 s"), "{why}");
    store.mute(false);
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
}

#[tokio::test]
async fn a_stream_that_is_kept_back_is_trouble_and_the_listing_steps_in() {
    let (store, around) = (Store::start().await, around());
    store.keep_back(true);
    let more = "mode = 'listen'\nheartbeat = '1s'\nsettle = '0s'\nreconcile_interval = '1h'\n";
    let run = around.run(trigger(&store.endpoint, more));
    store.wait_listings(1).await;
    assert_eq!(run.status().facts["listening"], FactValue::Flag(false));
    store.put("unheard", "", "e", noon(-60));
    let accepted = around.dispatch().wait_accepted(1).await;
    assert!(is_synthetic(&accepted[0].1));
    assert_eq!(run.status().state, TriggerState::Troubled);
    let why = trouble(&run, &store).await;
    assert!(why.contains("no byte within 8 s"), "{why}");
    store.keep_back(false);
    run.wait_state(TriggerState::Running).await;
    store.notify("heard", "e", noon(0));
    around.dispatch().wait_accepted(2).await;
    stop(run).await;
}

#[tokio::test]
async fn a_line_without_end_is_left_and_a_bad_one_skipped() {
    let (store, around) = (Store::start().await, around());
    let run = listening(&store, &around, "").await;
    store.send_line("{\"Records\":[{\"eventVersion\":\"9\"}]}");
    store.send_line("<html>");
    store.notify("k", "e", noon(0));
    around.dispatch().wait_accepted(1).await;
    assert_eq!(run.status().facts["skipped"], FactValue::Count(2));
    store.say_raw(vec![b'x'; 300 * 1024]);
    let why = trouble(&run, &store).await;
    assert!(why.contains("a line has more than"), "{why}");
    store.wait_streams(2).await;
    stop(run).await;
}

#[tokio::test]
async fn a_flood_while_the_hub_is_full_is_made_up_for() {
    let (store, around) = (Store::start().await, around());
    let more = "settle = '0s'\nreconcile_interval = '1h'\n";
    let run = listening(&store, &around, more).await;
    store.wait_listings(2).await;
    around.dispatch().hold();
    // More than waits in memory: what does not fit, of the last ones, is left to the listing.
    for n in 0..5_000 {
        let key = format!("k{n:04}");
        if n >= 4_000 {
            store.put(&key, "", "e", noon(-60));
        }
        store.notify(&key, "e", noon(-60));
    }
    // The one that was asked for by what did not fit.
    store.wait_listings(3).await;
    around.dispatch().release();
    // First nearly all of its pages: to wait for offers copies all there are with every one that comes.
    store.wait_listings(3 + 300).await;
    around.dispatch().wait_accepted(5_000).await;
    stop(run).await;
    assert_eq!(around.dispatch().accepted().len(), 5_000);
}

/// Both halves wait: a listing that overtook them would fire copies, which it cannot distinguish from puts.
#[tokio::test]
async fn a_listing_overtakes_nothing_that_was_heard() {
    let (store, around) = (Store::start().await, around());
    let more = "settle = '0s'\nreconcile_interval = '100ms'\nevents = ['s3:ObjectCreated:Put']\n";
    let run = listening(&store, &around, more).await;
    around.dispatch().hold();
    store.notify("first", "e", noon(-60));
    around.dispatch().wait_offered(1).await;
    for n in 0..40 {
        let put = super::store::minio_line(&format!("k{n:02}"), "e", noon(-60));
        match n % 2 {
            0 => store.send_line(&put),
            _ => store.send_line(&put.replace("Created:Put", "Created:Copy")),
        }
    }
    let hot = [("e", noon(-60)), ("e2", noon(-50))];
    for (etag, at) in hot {
        let put = super::store::minio_line("hot", etag, at);
        store.send_line(&put.replace("Created:Put", "Created:Copy"));
    }
    // A new stream is opened when the old one was read to its end.
    store.cut();
    store.wait_streams(2).await;
    let listed = store.listings();
    store.put("hot", "", hot[0].0, hot[0].1);
    (0..40).for_each(|n| store.put(&format!("k{n:02}"), "", "e", noon(-60)));
    store.wait_listings(listed + 1).await;
    store.cut();
    store.wait_streams(3).await;
    // Of what is listed by now, this is dealt with as well.
    store.put("hot", "", hot[1].0, hot[1].1);
    around.dispatch().release();
    around.dispatch().wait_accepted(21).await;
    // Two passes, page by page.
    store.wait_listings(store.listings() + 28).await;
    assert_eq!(run.status().facts["missed"], FactValue::Count(0));
    stop(run).await;
    let offered = around.dispatch().offered();
    assert_eq!(offered.len(), 21);
    assert!(!offered.iter().any(is_synthetic));
}

#[tokio::test]
async fn what_no_listing_shows_and_does_not_fit_is_counted() {
    let (store, around) = (Store::start().await, around());
    let more = "events = ['s3:ObjectRemoved:*']\n";
    let run = listening(&store, &around, more).await;
    around.dispatch().hold();
    let says = |name: &str| {
        let line = super::store::minio_line("gone", "", noon(0));
        store.send_line(&line.replace("ObjectCreated:Put", name));
    };
    says("ObjectRemoved:Delete");
    around.dispatch().wait_offered(1).await;
    // So many wait in memory, and then some more, three of them unwanted.
    (0..4_096 + 7).for_each(|_| says("ObjectRemoved:Delete"));
    (0..3).for_each(|_| says("ObjectAccessed:Get"));
    // A new stream is opened when the old one was read to its end.
    store.cut();
    store.wait_streams(2).await;
    assert_eq!(run.status().facts["skipped"], FactValue::Count(7));
    around.dispatch().release();
    stop(run).await;
}

#[tokio::test]
async fn a_young_object_is_left_to_its_notification() {
    let (store, around) = (Store::start().await, around());
    let more = "settle = '1h'\nreconcile_interval = '100ms'\n";
    let run = listening(&store, &around, more).await;
    store.put("young", "", "e", noon(0));
    store.wait_listings(store.listings() + 4).await;
    assert_eq!(around.dispatch().offered(), []);
    around.clock().advance(Duration::from_secs(3601));
    around.dispatch().wait_accepted(1).await;
    stop(run).await;
}

#[tokio::test]
async fn only_what_is_wanted_fires_and_the_rest_is_known() {
    let (store, around) = (Store::start().await, around());
    let more = "settle = '0s'\nreconcile_interval = '100ms'\n\
                events = ['s3:ObjectCreated:Copy', 's3:ObjectRemoved:*']\n";
    let run = listening(&store, &around, more).await;
    store.notify("put", "e", noon(-60));
    store.put("put", "", "e", noon(-60));
    let removed =
        super::store::minio_line("gone", "", noon(0)).replace("Created:Put", "Removed:Delete");
    store.send_line(&removed);
    let accepted = around.dispatch().wait_accepted(1).await;
    store.wait_listings(store.listings() + 4).await;
    stop(run).await;
    assert_eq!(
        accepted[0].1.event.kind,
        "com.amazonaws.s3.ObjectRemoved:Delete"
    );
    assert_eq!(around.dispatch().offered().len(), 1);
}

#[tokio::test]
async fn a_restart_remembers() {
    let (store, before) = (Store::start().await, around());
    let run = listening(&store, &before, "").await;
    store.notify("k", "e", noon(-60));
    store.put("k", "", "e", noon(-60));
    before.dispatch().wait_accepted(1).await;
    stop(run).await;
    let after = restarted(&before);
    after.dispatch().reject_all(Some(Rejected::Unavailable));
    let run = listening(&store, &after, "reconcile_interval = '100ms'\n").await;
    store.wait_listings(store.listings() + 4).await;
    stop(run).await;
    assert_eq!(
        after.dispatch().offered().len(),
        1,
        "the listing offered what the stream had sent"
    );
}
