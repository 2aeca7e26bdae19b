//! Records arrive once, in order, whole.

use std::time::Duration;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::BaseRecord;
use tripline_model::{Identity, Rejected};
use tripline_trigger::TriggerState;
use tripline_trigger::testkit::TestContext;

use super::brokers::{Brokers, numbers, probe};
use super::{Hasty, STOP, all_values, until, until_fact, values};
use crate::config::Reset;
use crate::positions::{Note, note_key, stream};

#[tokio::test(flavor = "multi_thread")]
async fn everything_once_in_order_across_a_restart() {
    let brokers = Brokers::start(1).with_topic("once", 3);
    let probe = probe(&brokers, "once");
    probe.write("once", 3, numbers(0, 3_000));
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new(&brokers.servers, "once").build());
    around.dispatch().wait_accepted(3_000).await;
    until("offsets follow", || {
        (probe.committed("once", 3) == 3_000).then_some(())
    })
    .await;
    until_fact(&run, "lag", 0_u64).await;
    until_fact(&run, "partitions", 3_u64).await;
    run.stop(STOP).await.unwrap();
    probe.write("once", 3, numbers(3_000, 3_600));
    let again = TestContext::new("orders").with_dispatch(around.dispatch().clone());
    let run = again.run(Hasty::new(&brokers.servers, "once").build());
    let accepted = again.dispatch().wait_accepted(3_600).await;
    run.stop(STOP).await.unwrap();
    for values in values(&accepted).values() {
        assert!(
            values.is_sorted(),
            "a partition's records came out of order"
        );
    }
    assert!(numbers(0, 3_600).eq(all_values(&again)), "each record once");
    assert_eq!(
        again.dispatch().offered().len(),
        3_600,
        "nothing was read twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_position_wins_over_lost_commits() {
    let brokers = Brokers::start(1).with_topic("mark", 1);
    let probe = probe(&brokers, "mark");
    probe.write("mark", 1, numbers(0, 50));
    let around = TestContext::new("orders");
    let mut first = Hasty::new(&brokers.servers, "mark");
    first.config.group_id = Some("another".to_owned());
    let run = around.run(first.build());
    around.dispatch().wait_accepted(50).await;
    run.stop(STOP).await.unwrap();
    assert_eq!(probe.committed("mark", 1), 0);
    let run = around.run(Hasty::new(&brokers.servers, "mark").build());
    run.wait_state(TriggerState::Running).await;
    probe.write("mark", 1, numbers(50, 60));
    around.dispatch().wait_accepted(60).await;
    run.stop(STOP).await.unwrap();
    assert_eq!(
        around.dispatch().offered().len(),
        60,
        "nothing was read twice"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_headers_and_missing_values_survive() {
    let brokers = Brokers::start(1).with_topic("bytes", 1);
    let probe = probe(&brokers, "bytes");
    let header = |key, value| Header { key, value };
    let headers = OwnedHeaders::new()
        .insert(header("h", Some(&b"\xff\x00"[..])))
        .insert(header("h", None::<&[u8]>))
        .insert(header("h", Some(&b""[..])));
    let record = BaseRecord::<[u8], [u8]>::to("bytes").partition(0);
    probe.send(
        record
            .key(b"\x00k")
            .payload(b"\x00\xff\n")
            .headers(headers)
            .timestamp(1_000),
    );
    probe.send(
        BaseRecord::<[u8], [u8]>::to("bytes")
            .partition(0)
            .key(b"gone"),
    );
    probe.send(
        BaseRecord::<[u8], [u8]>::to("bytes")
            .partition(0)
            .payload(b""),
    );
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new(&brokers.servers, "bytes").build());
    let accepted = around.dispatch().wait_accepted(3).await;
    let events: Vec<_> = accepted.iter().map(|(_, offer)| &offer.event).collect();
    assert_eq!(events[0].data.as_deref(), Some(&b"\x00\xff\n"[..]));
    assert_eq!(events[0].time.as_millis(), 1_000);
    assert_eq!(events[0].extensions["kafkakey"], "AGs=");
    assert_eq!(
        events[0].extensions["kafkaheaders"],
        r#"[["h","/wA="],["h",null],["h",""]]"#
    );
    assert_eq!(
        (&events[1].data, events[1].subject.as_deref()),
        (&None, Some("gone"))
    );
    assert_eq!(events[2].data.as_deref(), Some(&b""[..]));
    assert!(
        events[0].source.starts_with("kafka://mockCluster"),
        "{}",
        events[0].source
    );
    run.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn latest_begins_behind_what_is_there_and_stays_there() {
    let brokers = Brokers::start(1).with_topic("late", 1);
    let probe = probe(&brokers, "late");
    probe.write("late", 1, numbers(0, 10));
    let around = TestContext::new("orders");
    let late = || {
        let mut late = Hasty::new(&brokers.servers, "late");
        late.config.reset = Reset::Latest;
        late.build()
    };
    let run = around.run(late());
    run.wait_state(TriggerState::Running).await;
    until("the start is committed", || {
        (probe.committed("late", 1) == 10).then_some(())
    })
    .await;
    run.stop(STOP).await.unwrap();
    // Written between two runs, before anything was ever accepted: still not missed.
    probe.write("late", 1, numbers(10, 15));
    let run = around.run(late());
    around.dispatch().wait_accepted(5).await;
    run.stop(STOP).await.unwrap();
    assert!(numbers(10, 15).eq(all_values(&around)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_anew_is_read_from_its_beginning() {
    let brokers = Brokers::start(1).with_topic("anew", 1);
    let probe = probe(&brokers, "anew");
    probe.write("anew", 1, numbers(0, 20));
    let around = TestContext::new("orders");
    let cx = around.context();
    // What an earlier run left of the topic that had this name before: more records than there are now.
    let cluster = probe_cluster(&brokers);
    let note = Note {
        topic_id: Some("before".to_owned()),
        incarnation: 4,
        start: 0,
    };
    let entry = tripline_model::CursorEntry {
        key: note_key(&cluster, "anew", 0).into(),
        value: Some(serde_json::to_vec(&note).unwrap().into()),
    };
    cx.cursors().put(around.name(), vec![entry]).await.unwrap();
    let old = stream(&cluster, "anew", 0, 4);
    let event = crate::event::to_event(&crate::event::Record::default(), "c", cx.clock().now());
    let offer = cx.offer(
        event,
        Identity::Position {
            stream: old.clone(),
            position: 7,
        },
    );
    cx.dispatch().dispatch_all(vec![offer]).await;
    let run = around.run(Hasty::new(&brokers.servers, "anew").build());
    let accepted = around.dispatch().wait_accepted(21).await;
    run.stop(STOP).await.unwrap();
    assert!(numbers(0, 20).eq(values(&accepted[1..])["0"].clone()));
    let kept = cx
        .cursors()
        .get(around.name(), note_key(&cluster, "anew", 0).as_bytes())
        .await;
    let kept: Note = serde_json::from_slice(&kept.unwrap().unwrap()).unwrap();
    assert_eq!(kept.incarnation, 5);
    let id = kept
        .topic_id
        .expect("librdkafka's log tells the topic's id; has its wording changed?");
    assert_eq!(id.len(), 22, "{id}");
    let mark = cx.cursors().watermark(around.name(), &old).await.unwrap();
    assert_eq!(mark, Some(7), "the old watermark is not touched");
}

fn probe_cluster(brokers: &Brokers) -> String {
    use rdkafka::consumer::{BaseConsumer, Consumer};
    let mut config = rdkafka::ClientConfig::new();
    let consumer: BaseConsumer = config
        .set("bootstrap.servers", &brokers.servers)
        .create()
        .unwrap();
    consumer
        .client()
        .fetch_cluster_id(Duration::from_secs(10))
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_hub_never_takes_is_passed_over_and_told() {
    let brokers = Brokers::start(1).with_topic("large", 1);
    let probe = probe(&brokers, "large");
    let around = TestContext::new("orders");
    around
        .dispatch()
        .reject_next(Rejected::TooLarge { size: 2, limit: 1 });
    around
        .dispatch()
        .reject_next(Rejected::Invalid("no".to_owned()));
    probe.write("large", 1, numbers(0, 5));
    let run = around.run(Hasty::new(&brokers.servers, "large").build());
    around.dispatch().wait_accepted(3).await;
    until("offsets follow", || {
        (probe.committed("large", 1) == 5).then_some(())
    })
    .await;
    until_fact(&run, "skipped", 2_u64).await;
    assert!(numbers(2, 5).eq(all_values(&around)));
    run.stop(STOP).await.unwrap();
}
