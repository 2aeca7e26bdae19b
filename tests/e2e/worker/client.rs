//! The clients of a Runtime API, with the same function for each: see `tests/fixtures/worker/README.md`.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tripline_tests::{Hub, skipped};

/// A client, and how its function is run.
pub(super) struct Client {
    /// Its folder among the fixtures.
    folder: &'static str,
    /// What has to lie in the working directory.
    file: Option<&'static str>,
    command: Vec<String>,
    env: Vec<(&'static str, String)>,
}

/// The value of a variable that names where a client is; `None` was said aloud.
fn named(client: &str, variable: &str) -> Option<String> {
    let path = std::env::var(variable).ok().filter(|path| !path.is_empty());
    if path.is_none() {
        let reason = format!("{variable} is not set (run `cargo xtask test`)");
        skipped(&format!("worker client for {client}"), &reason);
    }
    path
}

pub(super) fn python() -> Option<Client> {
    let packages = named("Python", "TRIPLINE_TEST_WORKER_PYTHON")?;
    let program = std::env::var("TRIPLINE_TEST_WORKER_PYTHON_PROGRAM");
    let program = program.unwrap_or_else(|_| "python3".to_owned());
    let command = [&program, "-m", "awslambdaric", "app.handler"];
    Some(Client {
        folder: "python",
        file: Some("app.py"),
        command: command.map(str::to_owned).to_vec(),
        env: vec![
            ("PYTHONPATH", packages),
            ("PYTHONDONTWRITEBYTECODE", "1".to_owned()),
        ],
    })
}

pub(super) fn node() -> Option<Client> {
    let modules = named("Node", "TRIPLINE_TEST_WORKER_NODE")?;
    let script = format!("{modules}/aws-lambda-ric/index.mjs");
    Some(Client {
        folder: "node",
        file: Some("app.js"),
        command: ["node", &script, "app.handler"].map(str::to_owned).to_vec(),
        env: Vec::new(),
    })
}

pub(super) fn rust() -> Option<Client> {
    let program = named("Rust", "TRIPLINE_TEST_WORKER_RUST")?;
    Some(Client {
        folder: "rust",
        file: None,
        command: vec![program],
        env: Vec::new(),
    })
}

pub(super) fn scf() -> Option<Client> {
    let curl = Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !curl.is_ok_and(|status| status.success()) {
        skipped("worker client for SCF", "there is no curl");
        return None;
    }
    Some(Client {
        folder: "scf",
        file: Some("bootstrap"),
        command: vec!["./bootstrap".to_owned()],
        env: Vec::new(),
    })
}

// === impl Client ===

impl Client {
    /// Whether it can be made to hang before its first event.
    pub(super) fn can_hang(&self) -> bool {
        self.folder != "scf"
    }

    /// A function of this client, with these further keys and variables.
    pub(super) fn function(&self, name: &str, keys: &str, env: &[(&str, &str)]) -> String {
        let mut text = format!(
            "[functions.{name}]\nruntime = \"worker\"\nhandler = \"app.handler\"\ncommand = {}\n{keys}\n",
            json!(self.command)
        );
        let _ = writeln!(text, "[functions.{name}.env]");
        let own = self.env.iter().map(|(name, value)| (*name, value.as_str()));
        for (name, value) in own.chain(env.iter().copied()) {
            let _ = writeln!(text, "{name} = {}", json!(value));
        }
        text
    }

    /// A hub in whose folder the function lies.
    pub(super) async fn hub(&self, config: &str) -> Hub {
        self.hub_with(config, &[]).await
    }

    /// The same with variables in the hub's environment.
    pub(super) async fn hub_with(&self, config: &str, env: &[(&str, &str)]) -> Hub {
        let mut hub = Hub::prepare(config);
        if let Some(file) = self.file {
            let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/worker");
            let source = fixtures.join(self.folder).join(file);
            fs::copy(source, hub.path(file)).expect("the folder can be written");
        }
        hub.launch_with(env).await;
        hub
    }
}

/// Calls the function and waits for the end.
pub(super) async fn call(hub: &Hub, function: &str, event: &Value) -> Value {
    let id = hub.invoke(function, event.to_string()).await;
    hub.ended(&id).await
}

/// The answer of an invocation that must have succeeded.
pub(super) async fn answer(hub: &Hub, ended: &Value) -> Value {
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let id = ended["request_id"].as_str().expect("it has an id");
    let result = hub.request(&format!("/v1/invocations/{id}/result"));
    let result = result.send().await.expect("the hub answers");
    assert_eq!(result.status().as_u16(), 200);
    result.json().await.expect("the function answers JSON")
}

/// The process that answers an event of this function.
pub(super) async fn pid(hub: &Hub, function: &str) -> i32 {
    let ended = call(hub, function, &json!({ "do": "echo" })).await;
    let pid = answer(hub, &ended).await["pid"].as_i64();
    let pid = i32::try_from(pid.expect("it tells its process")).expect("a pid is small");
    assert!(
        hub.instances(function).contains(&pid),
        "{pid} is no instance"
    );
    pid
}

/// The texts of an invocation's log on the streams that are meant.
pub(super) async fn texts(
    hub: &Hub,
    ended: &Value,
    is_meant: impl Fn(&str) -> bool,
) -> Vec<String> {
    let id = ended["request_id"].as_str().expect("it has an id");
    let log = hub.log(id).await;
    let meant = |line: &&Value| line["stream"].as_str().is_some_and(&is_meant);
    let text = |line: &Value| line["text"].as_str().unwrap_or_default().to_owned();
    log.iter().filter(meant).map(text).collect()
}
