//! Batches that librdkafka cannot read.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use tripline_trigger::testkit::TestContext;
use tripline_trigger::{FactValue, TriggerState};

use super::brokers::{Brokers, probe};
use super::{Hasty, STOP, until, until_fact, values};

/// What a batch may be unpacked in these tests, and a record that is too large then.
const LARGEST: usize = 2_000_000;
const TOO_LARGE: usize = LARGEST + 1_000_000;

/// Packs all that it is given at once into one batch.
fn packer(servers: &str) -> BaseProducer {
    ClientConfig::new()
        .set("bootstrap.servers", servers)
        .set("compression.type", "zstd")
        .set("message.max.bytes", "20000000")
        .set("batch.size", "20000000")
        .set("linger.ms", "500")
        .create()
        .unwrap()
}

fn pack(producer: &BaseProducer, topic: &str, partition: i32, records: &[Vec<u8>]) {
    for record in records {
        let to = BaseRecord::<(), _>::to(topic).partition(partition);
        let sent = producer.send(to.payload(record));
        sent.map_err(|(error, _)| error).unwrap();
    }
    producer.flush(Duration::from_secs(20)).unwrap();
}

fn hasty(servers: &str, topic: &str) -> Hasty {
    Hasty::new(servers, topic)
        .with("fetch.max.bytes", "1000000")
        .with("receive.message.max.bytes", &LARGEST.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_is_too_large_when_unpacked_is_skipped_and_nothing_else() {
    let brokers = Brokers::start(1).with_topic("packed", 3);
    let probe = probe(&brokers, "packed");
    let packer = packer(&brokers.servers);
    let text = |text: &str| vec![text.as_bytes().to_vec()];
    // In partition 1: one of many records, one behind it, and one that can be read between two.
    pack(&packer, "packed", 1, &text("before"));
    pack(&packer, "packed", 1, &vec![vec![0; TOO_LARGE / 30]; 30]);
    pack(&packer, "packed", 1, &[vec![0; TOO_LARGE]]);
    pack(&packer, "packed", 1, &text("between"));
    pack(&packer, "packed", 1, &[vec![0; TOO_LARGE]]);
    pack(&packer, "packed", 1, &text("after"));
    // In partition 2 it is the last, and the first.
    pack(&packer, "packed", 2, &[vec![0; TOO_LARGE]]);
    pack(&packer, "packed", 0, &text("beside"));
    let around = TestContext::new("orders");
    let run = around.run(hasty(&brokers.servers, "packed").build());
    around.dispatch().wait_accepted(4).await;
    until_fact(&run, "skipped", 33_u64).await;
    until("all is committed", || {
        (probe.committed("packed", 3) == 1 + 35 + 1).then_some(())
    })
    .await;
    let found = values(&around.dispatch().accepted());
    assert_eq!(found["0"], ["beside"]);
    assert_eq!(found["1"], ["before", "between", "after"]);
    assert_eq!(run.status().state, TriggerState::Running);
    assert_eq!(run.status().facts["rebuilds"], FactValue::Count(0));
    let FactValue::Text(finding) = run.status().facts["last_finding"].clone() else {
        panic!("it is reported as text");
    };
    assert!(
        finding.contains("packed/") && finding.contains("skipped"),
        "{finding}"
    );
    // What comes behind it is read as ever.
    pack(&packer, "packed", 2, &text("later"));
    around.dispatch().wait_accepted(5).await;
    run.stop(STOP).await.unwrap();
}
