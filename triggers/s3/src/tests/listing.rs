//! What listings find, and what they must not find again.

use std::time::Duration;

use http::StatusCode;
use tripline_config::SecretRef;
use tripline_model::Rejected;
use tripline_trigger::testkit::{Run, TestContext};
use tripline_trigger::{Trigger, TriggerState};

use super::store::Store;
use super::{around, is_synthetic, noon, restarted, subjects, trigger};

const POLL: &str = "mode = 'poll'\ninterval = '100ms'\n";

fn poll(store: &Store, around: &TestContext, more: &str) -> Run {
    around.run(trigger(&store.endpoint, &format!("{POLL}{more}")))
}

/// Waits until listings that begin from now on have ended.
async fn next_pass(store: &Store, passes: usize) {
    store.wait_listings(store.listings() + passes).await;
}

async fn stop(run: Run) {
    run.stop(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test]
async fn what_was_there_is_skipped_and_what_comes_fires_once() {
    let (store, around) = (Store::start().await, around());
    for key in ["a", "b", "c", "d"] {
        store.put(key, "", "e1", noon(-3600));
    }
    let run = poll(&store, &around, "");
    run.wait_state(TriggerState::Running).await;
    store.put("bb", "", "e2", noon(-1));
    let accepted = around.dispatch().wait_accepted(1).await;
    assert!(is_synthetic(&accepted[0].1));
    assert_eq!(
        accepted[0].1.event.kind,
        "com.amazonaws.s3.ObjectCreated:Put"
    );
    assert_eq!(
        accepted[0].1.event.source,
        store.endpoint.replace("http", "s3") + "/uploads"
    );
    // The same bytes put again are a new event.
    store.put("bb", "", "e2", noon(0));
    around.dispatch().wait_accepted(2).await;
    next_pass(&store, 6).await;
    stop(run).await;
    assert_eq!(subjects(&around.dispatch().offered()), ["bb", "bb"]);
}

#[tokio::test]
async fn what_comes_while_the_first_listing_is_on_its_way_fires() {
    let (store, around) = (Store::start().await, around());
    store.put("before", "", "e", noon(-60));
    store.put("meanwhile", "", "e", noon(2));
    let run = poll(&store, &around, "");
    around.dispatch().wait_accepted(1).await;
    next_pass(&store, 2).await;
    stop(run).await;
    assert_eq!(subjects(&around.dispatch().offered()), ["meanwhile"]);
}

#[tokio::test]
async fn a_listing_that_says_not_where_it_goes_on_is_no_whole_one() {
    for versioned in [false, true] {
        let (store, around) = (Store::start().await, around());
        if versioned {
            store.set_versioned();
        }
        for key in ["a", "b", "c", "d", "e"] {
            store.put(key, if versioned { "v1" } else { "" }, "e", noon(-60));
        }
        let run = poll(&store, &around, "");
        run.wait_state(TriggerState::Running).await;
        around.clock().advance(Duration::from_secs(60));
        store.lose_places(true);
        run.wait_state(TriggerState::Troubled).await;
        let error = run.status().error.unwrap();
        assert!(error.contains("not where it goes on"), "{error}");
        // What it did not show is not gone.
        assert_eq!(around.cursors().all(around.name()).len(), 5 + 1);
        store.lose_places(false);
        run.wait_state(TriggerState::Running).await;
        stop(run).await;
        assert_eq!(around.dispatch().offered(), []);
    }
}

#[tokio::test]
async fn existing_objects_fire_if_they_shall() {
    let (store, around) = (Store::start().await, around());
    let keys = ["a", "a/b", "a0", "b", "é", "e\u{301}", "x"];
    keys.iter()
        .for_each(|key| store.put(key, "", "e", noon(-3600)));
    let run = poll(&store, &around, "existing = 'fire'\n");
    around.dispatch().wait_accepted(keys.len()).await;
    stop(run).await;
}

#[tokio::test]
async fn what_came_while_the_hub_was_down_is_found_and_nothing_else() {
    let (store, before) = (Store::start().await, around());
    for key in ["a", "b", "c", "d", "e", "f", "g"] {
        store.put(key, "", "e1", noon(-7200));
    }
    let run = poll(&store, &before, "");
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
    store.put("cc", "", "e2", noon(-3600));
    store.put("e", "", "e3", noon(-3600));
    let after = restarted(&before);
    let run = poll(&store, &after, "");
    after.dispatch().wait_accepted(2).await;
    next_pass(&store, 6).await;
    stop(run).await;
    assert_eq!(subjects(&after.dispatch().offered()), ["cc", "e"]);
}

#[tokio::test]
async fn odd_keys_come_exactly_from_either_kind_of_listing() {
    let mut keys = vec![
        "#hash?query=1",
        "%2e%2e/x",
        "..x/y",
        "100%",
        "a b+c%/ü.txt",
        "a+b",
        "back\\slash",
        "dir//double",
        "emoji-😀",
        "e\u{301}",
        "\u{e9}",
        "new\nline",
        "quote\"'&<>",
        "rtl-\u{202e}-x",
        "tab\there",
        "trailing space ",
        " leading",
        "a&amp;b",
        "&#10;",
    ];
    keys.sort_unstable();
    for verbatim in [false, true] {
        let (store, around) = (Store::start().await, around());
        if verbatim {
            store.set_verbatim();
        }
        keys.iter()
            .for_each(|key| store.put(key, "", "e", noon(-60)));
        let run = poll(&store, &around, "existing = 'fire'\n");
        let accepted = around.dispatch().wait_accepted(keys.len()).await;
        assert_eq!(subjects(accepted.iter().map(|(_, offer)| offer)), keys);
        next_pass(&store, 10).await;
        stop(run).await;
        assert_eq!(around.dispatch().offered().len(), keys.len());
    }
}

#[tokio::test]
async fn every_version_fires_once() {
    let (store, around) = (Store::start().await, around());
    store.set_versioned();
    store.put("doc", "v1", "e1", noon(-60));
    let run = poll(&store, &around, "");
    run.wait_state(TriggerState::Running).await;
    for version in ["v2", "v3", "v4", "v5"] {
        store.put("doc", version, "e1", noon(-30));
    }
    store.put("dod", "v6", "e1", noon(-30));
    let accepted = around.dispatch().wait_accepted(5).await;
    next_pass(&store, 8).await;
    stop(run).await;
    assert_eq!(around.dispatch().offered().len(), 5);
    let mut versions: Vec<_> = accepted
        .iter()
        .map(|(_, offer)| offer.event.extensions["s3versionid"].clone())
        .collect();
    versions.sort_unstable();
    assert_eq!(versions, ["v2", "v3", "v4", "v5", "v6"]);
}

#[tokio::test]
async fn prefix_and_suffix_keep_the_rest_out() {
    let (store, around) = (Store::start().await, around());
    for key in ["in/a.jpg", "in/b.png", "in/c.jpg", "out/d.jpg", "in.jpg"] {
        store.put(key, "", "e", noon(-60));
    }
    let run = poll(
        &store,
        &around,
        "existing = 'fire'\nprefix = 'in/'\nsuffix = '.jpg'\n",
    );
    around.dispatch().wait_accepted(2).await;
    next_pass(&store, 4).await;
    stop(run).await;
    assert_eq!(
        subjects(&around.dispatch().offered()),
        ["in/a.jpg", "in/c.jpg"]
    );
}

#[tokio::test]
async fn what_is_gone_is_forgotten() {
    let (store, around) = (Store::start().await, around());
    for key in ["a", "b", "c", "d", "e"] {
        store.put(key, "", "e", noon(-60));
    }
    let run = poll(&store, &around, "");
    run.wait_state(TriggerState::Running).await;
    let entries = || around.cursors().all(around.name()).len();
    assert_eq!(entries(), 5 + 1);
    around.clock().advance(Duration::from_secs(60));
    store.remove("c");
    store.remove("e");
    next_pass(&store, 8).await;
    stop(run).await;
    assert_eq!(entries(), 3 + 1);
    assert_eq!(around.dispatch().offered(), []);
}

#[tokio::test]
async fn a_store_that_lists_out_of_order_loses_and_repeats_nothing() {
    let (store, around) = (Store::start().await, around());
    let keys: Vec<String> = (0..10).map(|n| format!("k{n}")).collect();
    keys.iter()
        .for_each(|key| store.put(key, "", "e", noon(-60)));
    store.reverse();
    let run = poll(&store, &around, "existing = 'fire'\n");
    around.dispatch().wait_accepted(keys.len()).await;
    around.clock().advance(Duration::from_secs(60));
    next_pass(&store, 12).await;
    stop(run).await;
    assert_eq!(around.dispatch().offered().len(), keys.len());
    assert_eq!(around.cursors().all(around.name()).len(), keys.len() + 1);
}

#[tokio::test]
async fn a_refusal_delays_and_loses_nothing() {
    let (store, around) = (Store::start().await, around());
    let run = poll(&store, &around, "");
    run.wait_state(TriggerState::Running).await;
    around.dispatch().reject_all(Some(Rejected::StorageFull));
    store.put("a", "", "e", noon(-60));
    run.wait_state(TriggerState::Troubled).await;
    around.dispatch().reject_all(None);
    around.dispatch().wait_accepted(1).await;
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
}

#[tokio::test]
async fn an_object_too_large_for_the_hub_is_skipped_once() {
    let (store, around) = (Store::start().await, around());
    let run = poll(&store, &around, "");
    run.wait_state(TriggerState::Running).await;
    around
        .dispatch()
        .reject_next(Rejected::TooLarge { size: 9, limit: 1 });
    store.put("a", "", "e", noon(-60));
    around.dispatch().wait_offered(1).await;
    next_pass(&store, 4).await;
    stop(run).await;
    assert_eq!(around.dispatch().offered().len(), 1);
}

#[tokio::test]
async fn a_store_that_is_away_is_trouble_and_not_the_end() {
    let (store, around) = (Store::start().await, around());
    store.fail(Some((StatusCode::SERVICE_UNAVAILABLE, "SlowDown")));
    let run = poll(&store, &around, "");
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.unwrap();
    assert!(
        error.contains("cannot be asked for versioning: 503"),
        "{error}"
    );
    assert!(!error.contains("secret"), "{error}");
    store.fail(None);
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
}

/// What the trigger's state and `tripline doctor` report of that endpoint.
async fn words_of(endpoint: &str) -> [String; 2] {
    let (around, trigger) = (around(), trigger(endpoint, "mode = 'poll'\n"));
    let secrets = around.ports().secrets;
    let probed = trigger.probe(secrets.as_ref()).await;
    let run = around.run(trigger);
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.unwrap();
    stop(run).await;
    [error, probed.unwrap_err().to_string()]
}

#[tokio::test]
async fn an_endpoint_that_does_not_answer_is_named_with_the_reason() {
    // Bound and never listened on: nobody else gets the port, and nobody answers.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let gone = format!("http://{}", socket.local_addr().unwrap());
    let [state, probed] = words_of(&gone).await;
    let why = "the endpoint cannot be reached: Connection refused";
    let clock = format!("{gone}: the store cannot be asked for its time: {why}");
    assert!(state.starts_with(&clock), "{state}");
    let listing = format!("bucket `uploads` at {gone}: the bucket cannot be listed: {why}");
    assert!(probed.starts_with(&listing), "{probed}");
    let store = Store::start().await;
    let plain = store.endpoint.replace("http://", "https://");
    for words in words_of(&plain).await {
        assert!(words.contains(&plain), "{words}");
        let why = ": the endpoint does not speak TLS; write http://";
        assert!(words.ends_with(why), "{words}");
    }
}

#[tokio::test]
async fn another_bucket_part_is_a_first_start_again() {
    let (store, before) = (Store::start().await, around());
    store.put("a/1", "", "e", noon(-60));
    store.put("b/1", "", "e", noon(-60));
    let run = poll(&store, &before, "prefix = 'a/'\n");
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
    let after = restarted(&before);
    let run = after.run(trigger(&store.endpoint, &format!("{POLL}prefix = 'b/'\n")));
    run.wait_state(TriggerState::Running).await;
    stop(run).await;
    assert_eq!(after.dispatch().offered(), []);
}

#[tokio::test]
async fn an_unreachable_store_is_trouble_with_its_cause() {
    let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", socket.local_addr().unwrap());
    drop(socket);
    let around = around();
    for mode in ["poll", "listen"] {
        let run = around.run(trigger(&endpoint, &format!("mode = '{mode}'\n")));
        run.wait_state(TriggerState::Troubled).await;
        let error = run.status().error.unwrap();
        assert!(error.contains("Connection refused"), "{mode}: {error}");
        stop(run).await;
    }
}

#[tokio::test]
async fn an_access_key_that_no_header_can_carry_ends_the_run() {
    let (store, around) = (Store::start().await, around());
    let around = around.with_secret(SecretRef::Env("A".to_owned()), "access\n");
    let run = poll(&store, &around, "");
    let error = run.ended().await.expect_err("nothing can be signed");
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("the access key cannot be sent"), "{cause}");
}
