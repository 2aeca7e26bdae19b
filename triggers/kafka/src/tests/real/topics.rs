//! Topics that go, come back, grow, and lose their beginning.

use tripline_trigger::TriggerState;
use tripline_trigger::testkit::TestContext;

use super::topic::Topic;
use super::{STOP, each_once, in_both};
use crate::config::Reset;
use crate::tests::brokers::numbers;
use crate::tests::{all_values, until, until_fact};

async fn is_read_anew(mut topic: Topic) {
    let around = TestContext::new("orders");
    let run = around.run(topic.reader().build());
    run.wait_state(TriggerState::Running).await;
    let all = topic.write(2_000);
    around.dispatch().wait_accepted(all).await;
    until("offsets follow", || {
        (topic.committed() == 2_000).then_some(())
    })
    .await;
    until_fact(&run, "lag", 0_u64).await;
    // The same name, fewer records than the watermark, then more: all of them are new.
    for count in [100, 2_900] {
        topic.make_anew().await;
        let all = topic.write(count);
        around.dispatch().wait_accepted(all).await;
    }
    run.stop(STOP).await.unwrap();
    // And while the hub is down.
    topic.make_anew().await;
    let all = topic.write(2_990);
    let run = around.run(topic.reader().build());
    around.dispatch().wait_accepted(all).await;
    run.stop(STOP).await.unwrap();
    each_once(&around, all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_real_topic_once_in_order_and_again_after_it_is_made_anew() {
    in_both("a topic made anew", 2, is_read_anew).await;
}

async fn is_missed_until_it_is_there(mut topic: Topic) {
    let around = TestContext::new("orders");
    let run = around.run(topic.reader().build());
    let all = topic.write(10);
    around.dispatch().wait_accepted(all).await;
    run.wait_state(TriggerState::Running).await;
    topic.delete().await;
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.expect("trouble has words");
    let words = format!("topic `{}` cannot be read", topic.name);
    assert!(error.contains(&words), "{error}");
    topic.come_back().await;
    run.wait_state(TriggerState::Running).await;
    let all = topic.write(10);
    each_once(&around, all).await;
    run.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_deleted_topic_is_trouble_until_it_is_there_again() {
    in_both("a deleted topic", 2, is_missed_until_it_is_there).await;
}

async fn is_read_from_its_beginning(mut topic: Topic) {
    let around = TestContext::new("orders");
    let late = |topic: &Topic| {
        let mut late = topic.reader();
        late.config.reset = Reset::Latest;
        late.build()
    };
    topic.write(10);
    let run = around.run(late(&topic));
    run.wait_state(TriggerState::Running).await;
    until_fact(&run, "partitions", 2_u64).await;
    topic.add_partitions(4).await;
    // Written before the trigger knows that the partitions are there.
    topic.write(400);
    until_fact(&run, "partitions", 4_u64).await;
    around.dispatch().wait_accepted(400).await;
    run.stop(STOP).await.unwrap();
    topic.add_partitions(6).await;
    let all = topic.write(60);
    let run = around.run(late(&topic));
    around.dispatch().wait_accepted(460).await;
    run.stop(STOP).await.unwrap();
    assert!(numbers(10, all).eq(all_values(&around)), "each record once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn partitions_that_are_added_are_read_from_their_beginning() {
    in_both("partitions added", 2, is_read_from_its_beginning).await;
}

async fn is_told(mut topic: Topic) {
    let around = TestContext::new("orders");
    let run = around.run(topic.reader().build());
    let before = topic.write(100);
    around.dispatch().wait_accepted(before).await;
    run.stop(STOP).await.unwrap();
    topic.write(200);
    topic.remove_below(110).await;
    let run = around.run(topic.reader().build());
    around.dispatch().wait_accepted(before + 80).await;
    let finding = format!(
        "{}/1: the brokers removed offsets 50 to 109 before they were read",
        topic.name
    );
    until_fact(&run, "last_finding", finding.as_str()).await;
    let all = topic.write(10);
    around.dispatch().wait_accepted(before + 90).await;
    run.stop(STOP).await.unwrap();
    let kept = numbers(0, before).chain(numbers(before + 120, all));
    assert!(kept.eq(all_values(&around)), "each record once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn records_that_are_removed_while_the_hub_is_down_are_a_named_gap() {
    in_both("a gap by retention", 2, is_told).await;
}
