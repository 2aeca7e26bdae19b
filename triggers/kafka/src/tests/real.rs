//! The trigger against a real broker: `TRIPLINE_TEST_KAFKA`, and `TRIPLINE_TEST_KAFKA_SASL` for its
//! SASL/PLAIN listener (user `alice`, password `alice-secret`).

use std::io::Write;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tripline_config::SecretRef;
use tripline_trigger::TriggerState;
use tripline_trigger::testkit::TestContext;

use super::brokers::{Probe, numbers};
use super::{Hasty, all_values, until, until_fact};
use crate::config::Setting;

const STOP: Duration = Duration::from_secs(10);

/// The broker's address, or a note that there is none.
fn broker(test: &str, variable: &str) -> Option<String> {
    let servers = std::env::var(variable)
        .ok()
        .filter(|servers| !servers.is_empty());
    if servers.is_none() {
        let line = format!("SKIPPED: {test}: {variable} names no broker");
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
    let Some(servers) = broker("a real topic, deleted and made anew", "TRIPLINE_TEST_KAFKA") else {
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
    // And more records than the watermark.
    let deleted = admin.delete_topics(&[&topic], &AdminOptions::new()).await;
    deleted.unwrap()[0].as_ref().unwrap();
    create(&admin, &topic).await;
    let probe = Probe::new(&servers, &format!("group-of-{topic}"));
    probe.write(&topic, 2, numbers(2_100, 5_000));
    around.dispatch().wait_accepted(5_000).await;
    run.stop(STOP).await.unwrap();
    assert!(
        numbers(0, 5_000).eq(all_values(&around)),
        "each record of all three topics once"
    );
    let deleted = admin.delete_topics(&[&topic], &AdminOptions::new()).await;
    deleted.unwrap()[0].as_ref().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_trouble_that_never_shows_it() {
    let Some(servers) = broker("a wrong password", "TRIPLINE_TEST_KAFKA_SASL") else {
        return;
    };
    let password = SecretRef::Env("KAFKA_PASSWORD".to_owned());
    let hasty = || {
        let mut hasty = Hasty::new(&servers, "no-such-topic")
            .with("security.protocol", "sasl_plaintext")
            .with("sasl.mechanism", "PLAIN")
            .with("sasl.username", "alice");
        let secret = Setting::Secret(password.clone());
        let name = "sasl.password".to_owned();
        hasty.config.properties.push((name, secret));
        hasty.build()
    };
    let around = TestContext::new("orders").with_secret(password.clone(), "hunter2-wrong");
    let run = around.run(hasty());
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.expect("trouble has words");
    assert!(error.to_lowercase().contains("authentication"), "{error}");
    assert!(!error.contains("hunter2"), "{error}");
    run.stop(STOP).await.unwrap();
    // The right one comes further: to the topic that is not there.
    let around = TestContext::new("orders").with_secret(password.clone(), "alice-secret");
    let run = around.run(hasty());
    run.wait_state(TriggerState::Troubled).await;
    let error = run.status().error.expect("trouble has words");
    assert!(error.contains("topic `no-such-topic`"), "{error}");
    run.stop(STOP).await.unwrap();
}
