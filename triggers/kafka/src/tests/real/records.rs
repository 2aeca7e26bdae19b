//! Transactions.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tripline_trigger::testkit::TestContext;

use super::topic::Topic;
use super::{STOP, each_once, in_both};
use crate::tests::brokers::numbers;
use crate::tests::until_fact;

const PATIENCE: Duration = Duration::from_secs(20);

async fn are_passed_over(mut topic: Topic) {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", &topic.servers)
        .set("transactional.id", &topic.name);
    let producer: BaseProducer = config.create().expect("a producer");
    producer
        .init_transactions(PATIENCE)
        .expect("a producer of transactions");
    let in_one = |values: &mut dyn Iterator<Item = String>| {
        producer.begin_transaction().expect("a transaction");
        for value in values {
            let record = BaseRecord::<(), str>::to(&topic.name).payload(&value);
            producer
                .send(record.partition(0))
                .map_err(|(error, _)| error)
                .expect("room in the queue");
        }
        producer.flush(PATIENCE).expect("stored");
    };
    let around = TestContext::new("orders");
    let run = around.run(topic.reader().build());
    for part in 0..3 {
        in_one(&mut numbers(part * 50, part * 50 + 50));
        producer.commit_transaction(PATIENCE).expect("committed");
        in_one(&mut (0..40).map(|_| "never happened".to_owned()));
        producer.abort_transaction(PATIENCE).expect("aborted");
    }
    topic.count(150);
    around.dispatch().wait_accepted(150).await;
    // What stands behind the last record are marks and aborted ones: nobody waits for them.
    until_fact(&run, "lag", 0_u64).await;
    let all = topic.write(10);
    each_once(&around, all).await;
    run.stop(STOP).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn aborted_records_are_no_events() {
    in_both("aborted transactions", 1, are_passed_over).await;
}
