//! Brokers that fail, and a hub that does not keep up.

use std::time::Duration;

use rdkafka::mocking::MockCoordinator;
use rdkafka::producer::BaseRecord;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use tokio::time::{Instant, sleep};
use tripline_model::{CursorError, Rejected};
use tripline_trigger::testkit::{Run, TestContext};
use tripline_trigger::{FactValue, TriggerState};

use super::brokers::{Brokers, numbers, probe};
use super::{Hasty, STOP, all_values, until, until_fact};
use crate::config::GroupProtocol;

#[tokio::test(flavor = "multi_thread")]
async fn brokers_that_go_are_told_and_come_back_by_themselves() {
    let brokers = Brokers::start(1).with_topic("gone", 1);
    let probe = probe(&brokers, "gone");
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new(&brokers.servers, "gone").build());
    run.wait_state(TriggerState::Running).await;
    brokers.ask(|mock| mock.broker_down(1).unwrap());
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.expect("trouble has words");
    assert!(
        error.contains("127.0.0.1") || error.contains("broker"),
        "{error}"
    );
    brokers.ask(|mock| mock.broker_up(1).unwrap());
    run.wait_state(TriggerState::Running).await;
    probe.write("gone", 1, numbers(0, 10));
    around.dispatch().wait_accepted(10).await;
    brokers.ask(|mock| mock.broker_down(1).unwrap());
    run.wait_state(TriggerState::Troubled).await;
    run.stop(STOP)
        .await
        .expect("ends in time without brokers, too");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_without_brokers_is_trouble_and_ends_in_time() {
    // Bound and never listened on: nobody else gets the port, and nobody answers.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let servers = socket.local_addr().unwrap().to_string();
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new(&servers, "none").build());
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.expect("trouble has words");
    assert!(error.contains(&servers), "{error}");
    run.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_does_not_wait_until_all_partitions_are_planned() {
    let brokers = Brokers::start(1).with_topic("slow", 60);
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new(&brokers.servers, "slow").build());
    around.cursors().wait_watermark_asked().await;
    // From here on the plan takes some twenty seconds.
    let answer = Duration::from_millis(400);
    brokers.ask(move |mock| mock.broker_round_trip_time(1, answer).unwrap());
    run.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_without_a_leader_keeps_no_other_from_being_read() {
    for protocol in GroupProtocol::ALL {
        let brokers = Brokers::start(1).with_topic("headless", 3);
        brokers.ask(|mock| mock.partition_leader("headless", 1, None).unwrap());
        let probe = probe(&brokers, "headless");
        let write = |partition, value: &str| {
            let record = BaseRecord::<[u8], [u8]>::to("headless").partition(partition);
            probe.send(record.payload(value.as_bytes()));
        };
        write(0, "a");
        write(2, "b");
        let around = TestContext::new("orders");
        let hasty = Hasty::new(&brokers.servers, "headless").speaking(protocol);
        let run = around.run(hasty.build());
        around.dispatch().wait_accepted(2).await;
        until_fact(&run, "partitions", 2_u64).await;
        run.wait_state(TriggerState::Troubled).await;
        let error = run.status().error.expect("trouble has words");
        let named = "topic `headless` partition 1 is not read: no broker leads it";
        assert_eq!(error, named);
        // Statistics come by the time that the next record is safe.
        write(0, "c");
        until("offsets follow", || {
            (probe.committed("headless", 3) == 3).then_some(())
        })
        .await;
        let status = run.status();
        assert_eq!(status.state, TriggerState::Troubled);
        assert_eq!(status.facts.get("lag"), None);
        brokers.ask(|mock| mock.partition_leader("headless", 1, Some(1)).unwrap());
        run.wait_state(TriggerState::Running).await;
        write(1, "d");
        write(0, "e");
        around.dispatch().wait_accepted(5).await;
        until_fact(&run, "lag", 0_u64).await;
        until_fact(&run, "partitions", 3_u64).await;
        until_fact(&run, "rebuilds", 0_u64).await;
        run.stop(STOP).await.unwrap();
        assert_eq!(all_values(&around), ["a", "b", "c", "d", "e"]);
    }
}

/// Two brokers with two records in each of five partitions: the second leads the first four, the first all else.
fn with_a_second_leader(topic: &'static str) -> Brokers {
    let brokers = Brokers::start(2).with_topic(topic, 5);
    brokers.ask(move |mock| {
        let group = MockCoordinator::Group(format!("group-of-{topic}"));
        mock.coordinator(group, 1).unwrap();
        for (partition, leader) in [(0, 2), (1, 2), (2, 2), (3, 2), (4, 1)] {
            mock.partition_leader(topic, partition, Some(leader))
                .unwrap();
        }
    });
    probe(&brokers, topic).write(topic, 5, numbers(0, 10));
    brokers
}

/// Waits until the trigger reports four partitions that the second broker leads.
async fn until_four_are_told(run: &Run, topic: &str) {
    run.wait_state(TriggerState::Troubled).await;
    let first = format!("topic `{topic}` partition 0 is not read: broker 2 does not tell");
    until("the words name the first partition and the broker", || {
        let error = run.status().error?;
        (error.starts_with(&first) && error.ends_with("(nor are 3 more)")).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_whose_leader_is_gone_are_read_when_it_is_back() {
    let brokers = with_a_second_leader("back");
    brokers.ask(|mock| mock.broker_down(2).unwrap());
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new(&brokers.servers, "back").build());
    around.dispatch().wait_accepted(2).await;
    until_four_are_told(&run, "back").await;
    brokers.ask(|mock| mock.broker_up(2).unwrap());
    run.wait_state(TriggerState::Running).await;
    around.dispatch().wait_accepted(10).await;
    run.stop(STOP).await.unwrap();
    assert!(numbers(0, 10).eq(all_values(&around)), "each record once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leader_that_is_silent_is_waited_for_once() {
    let brokers = with_a_second_leader("silent");
    // It accepts connections and says nothing on them. The other one is asked for everything else.
    brokers.ask(|mock| {
        mock.broker_round_trip_time(2, Duration::from_secs(600))
            .unwrap();
    });
    let (first, _) = brokers.servers.split_once(',').expect("two brokers");
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new(first, "silent").build());
    // Waiting for each of the four would leave no time for the fifth.
    around.dispatch().wait_accepted(2).await;
    until_four_are_told(&run, "silent").await;
    run.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_well_before_a_plan_succeeds() {
    let brokers = Brokers::start(1).with_topic("unplanned", 1);
    let probe = probe(&brokers, "unplanned");
    probe.write("unplanned", 1, numbers(0, 5));
    let around = TestContext::new("orders");
    around
        .cursors()
        .fail(Some(CursorError("the disk is gone".to_owned())));
    let run = around.run(Hasty::new(&brokers.servers, "unplanned").build());
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.expect("trouble has words");
    assert!(error.contains("partition 0 is not read"), "{error}");
    assert_eq!(run.status().facts.get("lag"), None);
    around.cursors().fail(None);
    run.wait_state(TriggerState::Running).await;
    around.dispatch().wait_accepted(5).await;
    until_fact(&run, "lag", 0_u64).await;
    run.stop(STOP).await.unwrap();
    assert!(numbers(0, 5).eq(all_values(&around)), "each record once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_topic_is_trouble_until_it_is_there() {
    let brokers = Brokers::start(1);
    let around = TestContext::new("orders");
    brokers.ask(|mock| {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
        mock.create_topic("missing", 1, 1).unwrap();
        mock.topic_error("missing", error).unwrap();
    });
    let run = around.run(Hasty::new(&brokers.servers, "missing").build());
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.expect("trouble has words");
    assert!(error.contains("topic `missing` cannot be read"), "{error}");
    brokers.ask(|mock| {
        mock.topic_error("missing", RDKafkaRespErr::RD_KAFKA_RESP_ERR_NO_ERROR)
            .unwrap();
    });
    let probe = probe(&brokers, "missing");
    probe.write("missing", 1, numbers(0, 3));
    run.wait_state(TriggerState::Running).await;
    around.dispatch().wait_accepted(3).await;
    run.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_over_its_limit_pauses_partitions_and_stays_in_the_group() {
    let brokers = Brokers::start(1).with_topic("limit", 2);
    let probe = probe(&brokers, "limit");
    probe.write("limit", 2, numbers(0, 6_000));
    let around = TestContext::new("orders");
    around.dispatch().hold();
    let interval = Duration::from_secs(3);
    let hasty = Hasty::new(&brokers.servers, "limit")
        .with("session.timeout.ms", "3000")
        .with("heartbeat.interval.ms", "200")
        .with("max.poll.interval.ms", "3000");
    let run = around.run(hasty.build());
    until_fact(&run, "paused", true).await;
    let until_then = Instant::now() + interval + interval / 2;
    while Instant::now() < until_then {
        let status = run.status();
        assert_eq!(status.state, TriggerState::Running);
        assert_eq!(
            status.facts.get("partitions"),
            Some(&FactValue::from(2_u64))
        );
        assert!(
            around.dispatch().offered().len() <= 1_000,
            "one hand-over at a time"
        );
        assert_eq!(
            probe.committed("limit", 2),
            0,
            "no offset without a receipt"
        );
        sleep(Duration::from_millis(100)).await;
    }
    around.dispatch().release();
    around.dispatch().wait_accepted(6_000).await;
    until_fact(&run, "paused", false).await;
    until("offsets follow", || {
        (probe.committed("limit", 2) == 6_000).then_some(())
    })
    .await;
    assert_eq!(
        run.status().facts.get("rebuilds"),
        Some(&FactValue::from(0_u64))
    );
    run.stop(STOP).await.unwrap();
    assert!(
        numbers(0, 6_000).eq(all_values(&around)),
        "each record once"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn records_that_wait_without_progress_get_a_new_consumer() {
    let brokers = Brokers::start(1).with_topic("stuck", 1);
    let probe = probe(&brokers, "stuck");
    let around = TestContext::new("orders");
    let mut hasty = Hasty::new(&brokers.servers, "stuck");
    hasty.config.stall_after = Duration::from_secs(1);
    let run = around.run(hasty.build());
    run.wait_state(TriggerState::Running).await;
    brokers.ask(|mock| {
        let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR;
        mock.request_errors(RDKafkaApiKey::Fetch, &[error; 1_000]);
    });
    probe.write("stuck", 1, numbers(0, 5));
    until("the consumer is made anew", || {
        let rebuilds = run.status().facts.get("rebuilds").cloned();
        (rebuilds != Some(FactValue::from(0_u64))).then_some(())
    })
    .await;
    brokers.ask(|mock| mock.clear_request_errors(RDKafkaApiKey::Fetch));
    around.dispatch().wait_accepted(5).await;
    run.stop(STOP).await.unwrap();
    assert!(numbers(0, 5).eq(all_values(&around)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_that_cannot_store_is_trouble_and_loses_nothing() {
    let brokers = Brokers::start(1).with_topic("full", 1);
    let probe = probe(&brokers, "full");
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new(&brokers.servers, "full").build());
    run.wait_state(TriggerState::Running).await;
    around.dispatch().reject_all(Some(Rejected::StorageFull));
    probe.write("full", 1, numbers(0, 5));
    run.wait_state(TriggerState::Troubled).await;
    assert!(
        run.status()
            .error
            .expect("trouble has words")
            .contains("until the disk of the data directory has room")
    );
    assert_eq!(probe.committed("full", 1), 0);
    around.dispatch().reject_all(None);
    run.wait_state(TriggerState::Running).await;
    around.dispatch().wait_accepted(5).await;
    run.stop(STOP).await.unwrap();
    assert!(numbers(0, 5).eq(all_values(&around)));
}
