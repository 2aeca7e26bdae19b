//! The admin API does what its description says: schemathesis makes calls out of it, good and bad ones, and compares.

use tripline_tests::{Checkers, Hub, output};

const CONFIG: &str = r#"
[hub]
qps = 100000
[functions.greet]
command = ["cat"]
[functions.now]
command = ["true"]
execution = "sync"
[triggers.hello]
kind = "http"
function = "greet"
route = "POST /hello"
auth = "none"
[triggers.nightly]
kind = "cron"
function = "greet"
schedule = "0 0 2 * * *"
"#;

/// An idempotency key that was used for something else is a good request that is refused (422); a bad body may be refused
/// for its length before it is read (413).
const SETTINGS: &str = r#"
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "422", "429"]
[auth.openapi]
token = { bearer = "TOKEN" }
"#;

#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_nothing() {
    let Some(checkers) = Checkers::find("schemathesis") else {
        return;
    };
    let hub = Hub::start(CONFIG).await;
    let token = hub.lines("data/admin.token").concat();
    hub.write("schemathesis.toml", &SETTINGS.replace("TOKEN", &token));
    let mut command = checkers.module("schemathesis.cli");
    command
        .current_dir(hub.path(""))
        .args(["run", &hub.admin("/openapi.json")])
        .args([
            "--max-examples",
            "15",
            "--seed",
            "1",
            "--request-timeout",
            "30",
        ])
        .args([
            "--suppress-health-check",
            "all",
            "--generation-database",
            "none",
        ])
        // It asks for the description before it has read that there is a token.
        .args(["--header", &format!("Authorization: Bearer {token}")]);
    let output = tokio::task::spawn_blocking(move || output(&mut command));
    let output = output.await.unwrap();
    assert_eq!(output.code, 0, "{}\n{}", output.stdout, output.stderr);
    for phase in ["Coverage", "Fuzzing", "Stateful"] {
        let passed = format!("✅ {phase}");
        assert!(output.stdout.contains(&passed), "{}", output.stdout);
    }
    assert!(!hub.lines("hub.log").concat().contains("panicked"));
}
