//! The group: offsets that others move, members that come and go, a hub that stands still.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use tokio::time::{Instant, sleep};
use tripline_skipped::full;
use tripline_trigger::testkit::TestContext;
use tripline_trigger::{FactValue, TriggerState};

use super::topic::Topic;
use super::{STOP, each_once, in_both};
use crate::config::{GroupProtocol, Reset};
use crate::tests::brokers::numbers;
use crate::tests::{all_values, until, until_fact};

async fn keeps_its_position(mut topic: Topic) {
    let around = TestContext::new("orders");
    // Brings the hub up for what is new, and down again.
    let catch_up = async |topic: &mut Topic, around: &TestContext, expected: usize| {
        let run = around.run(topic.reader().build());
        around.dispatch().wait_accepted(expected).await;
        until("offsets follow", || {
            (topic.committed() == topic.written() as u64).then_some(())
        })
        .await;
        run.stop(STOP).await.unwrap();
    };
    topic.write(100);
    catch_up(&mut topic, &around, 100).await;
    topic.forget_group().await;
    assert_eq!(topic.committed(), 0);
    topic.write(20);
    catch_up(&mut topic, &around, 120).await;
    // Moved back: the journal knows better.
    topic.reset_group(10).await;
    topic.write(20);
    catch_up(&mut topic, &around, 140).await;
    assert_eq!(
        around.dispatch().offered().len(),
        140,
        "nothing was read twice"
    );
    // Moved ahead, over 50 records in each partition: somebody wants them left out.
    topic.write(200);
    topic.reset_group(70 + 50).await;
    catch_up(&mut topic, &around, 240).await;
    let kept = numbers(0, 140).chain(numbers(240, 340));
    assert!(kept.eq(all_values(&around)));
    // The journal is lost: the group's offset is all there is, and nothing is run again.
    let wiped = TestContext::new("orders");
    topic.write(10);
    let mut reader = topic.reader();
    reader.config.reset = Reset::Earliest;
    let run = wiped.run(reader.build());
    wiped.dispatch().wait_accepted(10).await;
    run.stop(STOP).await.unwrap();
    assert!(numbers(340, 350).eq(all_values(&wiped)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn offsets_that_others_move_count_only_ahead_of_the_journal() {
    in_both("offsets that others move", 2, keeps_its_position).await;
}

/// Joins and leaves the group until asked to stop, and counts how often it got partitions.
fn storm(topic: &Topic, stop: Arc<AtomicBool>, given: Arc<AtomicUsize>) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &topic.servers)
        .set("group.id", topic.group())
        .set("group.protocol", topic.protocol.word())
        .set("enable.auto.commit", "false");
    if topic.protocol == GroupProtocol::Classic {
        config
            .set("partition.assignment.strategy", "cooperative-sticky")
            .set("session.timeout.ms", "3000")
            .set("heartbeat.interval.ms", "200");
    }
    let name = topic.name.clone();
    std::thread::spawn(move || {
        while !stop.load(Ordering::Acquire) {
            let member: BaseConsumer = config.create().expect("a consumer");
            member.subscribe(&[&name]).expect("subscribed");
            // Some leave before they have got anything.
            for _ in 0..15 {
                drop(member.poll(Duration::from_millis(100)));
                if member.assignment().is_ok_and(|list| list.count() > 0) {
                    given.fetch_add(1, Ordering::AcqRel);
                    break;
                }
            }
        }
    });
}

async fn outlives_the_storm(mut topic: Topic) {
    let around = TestContext::new("orders");
    let run = around.run(topic.reader().build());
    let all = topic.write(100);
    around.dispatch().wait_accepted(all).await;
    let (stop, given) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
    let (members, tens) = full((3, 1), (20, 2));
    for _ in 0..members {
        storm(&topic, Arc::clone(&stop), Arc::clone(&given));
    }
    for ten in 1..=tens {
        until("ten more members have come and gone", || {
            topic.write(10);
            (given.load(Ordering::Acquire) >= 10 * ten).then_some(())
        })
        .await;
    }
    stop.store(true, Ordering::Release);
    let all = topic.write(100);
    around.dispatch().wait_accepted(all).await;
    until_fact(&run, "partitions", 4_u64).await;
    until("offsets follow", || {
        (topic.committed() == all as u64).then_some(())
    })
    .await;
    run.stop(STOP).await.unwrap();
    each_once(&around, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn members_that_come_and_go_lose_nothing() {
    in_both("a storm of rebalances", 4, outlives_the_storm).await;
}

async fn stays_in_the_group(mut topic: Topic) {
    let all = topic.write(6_000);
    let around = TestContext::new("orders");
    around.dispatch().hold();
    let run = around.run(topic.reader().build());
    until_fact(&run, "paused", true).await;
    // Longer than the session, which is 3 s in the classic protocol and 6 s at these brokers.
    let until_then = Instant::now() + Duration::from_secs(8);
    while Instant::now() < until_then {
        let status = run.status();
        assert_eq!(status.state, TriggerState::Running);
        assert_eq!(
            status.facts.get("partitions"),
            Some(&FactValue::from(2_u64))
        );
        assert_eq!(topic.committed(), 0, "no offset without a receipt");
        sleep(Duration::from_millis(200)).await;
    }
    around.dispatch().release();
    around.dispatch().wait_accepted(all).await;
    run.stop(STOP).await.unwrap();
    assert_eq!(
        around.dispatch().offered().len(),
        all,
        "a member that is sent away reads again"
    );
    each_once(&around, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_hub_that_takes_nothing_for_long_stays_in_its_group() {
    in_both("a hub that takes nothing", 2, stays_in_the_group).await;
}
