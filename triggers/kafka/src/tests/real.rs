//! The trigger against a real broker: the one that `TRIPLINE_TEST_KAFKA` names.

use std::io::Write;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tripline_trigger::TriggerState;
use tripline_trigger::testkit::TestContext;

use super::brokers::{Probe, numbers};
use super::{Hasty, all_values, until, until_fact};

const STOP: Duration = Duration::from_secs(10);

/// The broker's address, or a note that there is none.
fn broker(test: &str) -> Option<String> {
    let servers = std::env::var("TRIPLINE_TEST_KAFKA")
        .ok()
        .filter(|servers| !servers.is_empty());
    if servers.is_none() {
        let line = format!("SKIPPED: {test}: TRIPLINE_TEST_KAFKA names no broker");
        println!("{line}");
        if let Ok(path) = std::env::var("TRIPLINE_TEST_SKIPS") {
            let file = std::fs::OpenOptions::new()
                .create(true)
                .append(true)
                .open(path);
            writeln!(file.expect("the list of skips can be written"), "{line}").expect("written");
        }
    }
    servers
}

/// A name that no other run has used on this broker.
fn fresh_name() -> String {
    let entropy = std::hash::RandomState::new();
    format!(
        "tripline-{:016x}",
        std::hash::BuildHasher::hash_one(&entropy, 0)
    )
}

async fn create(admin: &AdminClient<DefaultClientContext>, topic: &str) {
    let wanted = [NewTopic::new(topic, 2, TopicReplication::Fixed(1))];
    let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
    loop {
        let made = admin
            .create_topics(&wanted, &AdminOptions::new())
            .await
            .expect("an answer");
        if made[0].is_ok() {
            return;
        }
        // A deletion takes effect a little after its answer.
        assert!(tokio::time::Instant::now() < deadline, "{made:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_topic_once_in_order_and_again_after_it_is_made_anew() {
    let Some(servers) = broker("a real topic, deleted and made anew") else {
        return;
    };
    let topic = fresh_name();
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &servers);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    create(&admin, &topic).await;
    let probe = Probe::new(&servers, &format!("group-of-{topic}"));
    let around = TestContext::new("orders");
    let run = around.run(Hasty::new(&servers, &topic).build());
    run.wait_state(TriggerState::Running).await;
    probe.write(&topic, 2, numbers(0, 2_000));
    around.dispatch().wait_accepted(2_000).await;
    until("offsets follow", || {
        (probe.committed(&topic, 2) == 2_000).then_some(())
    })
    .await;
    until_fact(&run, "lag", 0_u64).await;
    // The same name, fewer records than the watermark: all of them are new.
    admin
        .delete_topics(&[&topic], &AdminOptions::new())
        .await
        .unwrap()[0]
        .as_ref()
        .unwrap();
    create(&admin, &topic).await;
    let probe = Probe::new(&servers, &format!("group-of-{topic}"));
    probe.write(&topic, 2, numbers(2_000, 2_100));
    around.dispatch().wait_accepted(2_100).await;
    run.stop(STOP).await.unwrap();
    assert!(
        numbers(0, 2_100).eq(all_values(&around)),
        "each record of both topics once"
    );
    admin
        .delete_topics(&[&topic], &AdminOptions::new())
        .await
        .unwrap()[0]
        .as_ref()
        .unwrap();
}
