//! Logins that are refused.

use tripline_config::SecretRef;
use tripline_trigger::TriggerState;
use tripline_trigger::testkit::TestContext;

use super::{STOP, broker};
use crate::config::Setting;
use crate::tests::Hasty;

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
