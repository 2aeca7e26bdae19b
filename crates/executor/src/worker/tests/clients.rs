//! The public clients, with the functions in `tests/fixtures/worker`.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tripline_skipped::skipped;

use super::WorkerFixture;
use crate::instance::How;

/// A client, and how it says things.
struct Client {
    /// Its folder.
    name: &'static str,
    command: Vec<String>,
    env: Vec<(&'static str, String)>,
    /// What an error is called that has a type in the language.
    error_kind: &'static str,
    /// Whether an error in its start is reported, rather than only seen as an end.
    init_reason: &'static str,
}

fn path_in(variable: &str) -> Option<String> {
    let path = std::env::var(variable).ok().filter(|path| !path.is_empty());
    if path.is_none() {
        skipped(
            "a client",
            &format!("{variable} is not set; see tests/fixtures/worker/README.md"),
        );
    }
    path
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/worker")
}

fn python() -> Option<Client> {
    let packages = path_in("TRIPLINE_TEST_WORKER_PYTHON")?;
    let program = std::env::var("TRIPLINE_TEST_WORKER_PYTHON_PROGRAM");
    let program = program.unwrap_or_else(|_| "python3".to_owned());
    Some(Client {
        name: "python",
        command: [&program, "-m", "awslambdaric", "app.handler"]
            .map(str::to_owned)
            .to_vec(),
        env: vec![
            ("PYTHONPATH", packages),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ],
        error_kind: "OrderError",
        init_reason: "RuntimeError: the model is missing",
    })
}

fn node() -> Option<Client> {
    let modules = path_in("TRIPLINE_TEST_WORKER_NODE")?;
    let script = format!("{modules}/aws-lambda-ric/index.mjs");
    Some(Client {
        name: "node",
        command: ["node", &script, "app.handler"].map(str::to_owned).to_vec(),
        env: Vec::new(),
        error_kind: "OrderError",
        init_reason: "Error: the model is missing",
    })
}

fn rust() -> Option<Client> {
    let program = path_in("TRIPLINE_TEST_WORKER_RUST")?;
    Some(Client {
        name: "rust",
        command: vec![program],
        env: Vec::new(),
        error_kind: "OrderError",
        init_reason: "the instance ended before it took the event (exit status: 1)",
    })
}

fn scf() -> Option<Client> {
    Some(Client {
        name: "scf",
        command: vec!["./bootstrap".to_owned()],
        env: Vec::new(),
        error_kind: "Unhandled",
        init_reason: "the instance ended before it took the event (exit status: 1)",
    })
}

fn fixture(client: &Client) -> WorkerFixture {
    let command: Vec<&str> = client.command.iter().map(String::as_str).collect();
    let mut fixture = WorkerFixture::running(&command)
        .with_worker(|worker| worker.handler = Some("app.handler".to_owned()));
    fixture.spec.working_dir = fixtures().join(client.name);
    fixture.max_result_bytes = 8 << 20;
    for (name, value) in &client.env {
        fixture = fixture.with_env(name, value.clone());
    }
    fixture
}

/// What every client must do with every kind of event.
async fn check(client: Option<Client>) {
    let Some(client) = client else { return };
    let fixture = fixture(&client).declared();

    let first = answer(&fixture, &json!({"do": "echo", "value": {"a": [1, "ü"]}})).await;
    assert_eq!(
        (&first["echo"], &first["count"]),
        (&json!({"a": [1, "ü"]}), &json!(1))
    );
    let large = "x".repeat(6_000_000);
    let second = answer(&fixture, &json!({"do": "echo", "value": large})).await;
    assert_eq!(
        (&second["count"], &second["pid"]),
        (&json!(2), &first["pid"])
    );
    assert!(second["echo"] == large, "all six million bytes");

    let failed = fixture.run(r#"{"do":"error"}"#).await;
    assert_eq!(
        failed.exit.how,
        reported(client.error_kind, "no such order")
    );
    let odd = fixture.run(r#"{"do":"text_error"}"#).await;
    assert_eq!(odd.exit.how, reported("Unhandled", "not json"));
    let crashed = fixture.run(r#"{"do":"crash"}"#).await;
    let seven = How::Crashed {
        code: Some(7),
        signal: None,
    };
    assert_eq!(crashed.exit.how, seven, "{:?}", crashed.output.texts());
    for done in [&failed, &odd, &crashed] {
        let texts = done.output.texts().join("\n");
        assert!(texts.contains("doing"), "{texts}");
    }
    // What the server does when the time is over.
    let mut slow = fixture.start(r#"{"do":"sleep"}"#).await;
    tokio::select! {
        () = slow.instance.wait() => panic!("it works for ten minutes"),
        () = super::eventually("its line", || {
            slow.output.texts().iter().any(|text| text.contains("doing"))
        }) => {}
    }
    slow.instance.request_stop();
    slow.instance.kill();
    let slow = slow.done().await;
    assert!(
        matches!(slow.exit.how, How::Crashed { .. }),
        "{:?}",
        slow.exit.how
    );
    assert_eq!(fixture.instances(), 0);
    fixture.close().await;
}

async fn check_init(client: Option<Client>) {
    let Some(client) = client else { return };
    let house_failing = fixture(&client).with_env("FAIL_INIT", "1").declared();
    let done = house_failing.run(r#"{"do":"echo"}"#).await;
    let How::NotReady { reason, detail } = &done.exit.how else {
        panic!("{:?}: {:?}", done.exit.how, done.output.texts());
    };
    assert_eq!(*reason, "init_failed");
    assert!(detail.contains(client.init_reason), "{detail}");
    house_failing.close().await;
}

async fn answer(fixture: &WorkerFixture, event: &Value) -> Value {
    let done = fixture.run(&event.to_string()).await;
    serde_json::from_str(done.result()).unwrap()
}

fn reported(kind: &str, message: &str) -> How {
    How::Reported {
        kind: kind.to_owned(),
        message: message.to_owned(),
    }
}

#[tokio::test]
async fn awslambdaric_runs_unmodified() {
    check(python()).await;
    check_init(python()).await;
}

#[tokio::test]
async fn aws_lambda_ric_runs_unmodified() {
    check(node()).await;
    check_init(node()).await;
}

#[tokio::test]
async fn lambda_runtime_runs_unmodified() {
    check(rust()).await;
    check_init(rust()).await;
}

#[tokio::test]
async fn an_scf_bootstrap_runs_unmodified() {
    check(scf()).await;
    check_init(scf()).await;
}

#[tokio::test]
async fn events_and_results_that_are_not_json_are_the_functions_errors() {
    let Some(client) = python() else { return };
    let fixture = fixture(&client).declared();
    let done = fixture.run("not json").await;
    assert!(
        matches!(&done.exit.how, How::Reported { kind, .. } if kind == "Runtime.UnmarshalError"),
        "{:?}",
        done.exit.how
    );
    fixture.close().await;
}

#[tokio::test]
async fn credentials_of_a_role_are_found_by_an_aws_client() {
    let Some(client) = python() else { return };
    let fixture = fixture(&client)
        .with_worker(|worker| worker.role = true)
        .declared();
    let running = fixture
        .start_with_credentials(r#"{"do":"keys"}"#, super::credentials("temporary"))
        .await;
    assert_eq!(running.done().await.result(), r#""temporary""#);
    fixture.close().await;
}
