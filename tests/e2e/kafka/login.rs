//! A login that is refused: told everywhere, and nowhere with the password.

use tripline_tests::{Hub, eventually, kafka, kafka_sasl};

use super::{produce, producer, topic};

const WRONG: &str = "canary-7f3a91-password";

const CONFIG: &str = r#"
[hub]
log_level = "trace"
[functions.work]
command = ["true"]
[triggers.orders]
kind = "kafka"
function = "work"
"bootstrap.servers" = "BOOTSTRAP"
topics = ["e2e-login"]
"auto.offset.reset" = "earliest"
"security.protocol" = "sasl_plaintext"
"sasl.mechanism" = "PLAIN"
"sasl.username" = "alice"
"sasl.password" = { file = "password" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_is_told_and_never_shown() {
    let test = "a wrong password";
    let (Some(bootstrap), Some(logins)) = (kafka(test), kafka_sasl(test)) else {
        return;
    };
    topic(&bootstrap, "e2e-login", 1, 1).await;
    produce(&producer(&bootstrap), "e2e-login", 0..3).await;
    let mut hub = Hub::prepare(&CONFIG.replace("BOOTSTRAP", &logins));
    hub.write_secret("password", WRONG);
    hub.launch().await;
    let status = eventually("the login is refused", async || {
        let status = hub.get("/v1/triggers/orders").await;
        (status["state"] == "troubled").then_some(status)
    })
    .await;
    let error = status["error"].as_str().unwrap().to_lowercase();
    assert!(error.contains("authentication failed"), "{error}");
    let log = hub.lines("hub.log").join("\n");
    assert!(
        log.to_lowercase().contains("authentication failed"),
        "the log says why"
    );
    let seen = [
        log,
        status.to_string(),
        hub.cli(&["triggers"]).stdout,
        hub.metrics().await,
    ];
    for text in seen {
        assert!(!text.contains(WRONG), "the password is in\n{text}");
    }
    // A hub with the right one goes on where this one could not begin.
    hub.kill().await;
    hub.write_secret("password", "alice-secret");
    hub.launch().await;
    hub.ended_of("orders", 3).await;
}
