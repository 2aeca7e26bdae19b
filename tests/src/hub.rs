//! A hub under test: the real binary, its folder, and the ways to talk to it.

mod ends;
mod nobody;
mod secrets;
mod waits;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::eventually;

/// A running (or killed) hub with a folder of its own.
pub struct Hub {
    folder: TempDir,
    program: PathBuf,
    child: Option<Child>,
    client: reqwest::Client,
}

/// What a command of the CLI printed, and how it ended.
#[derive(Debug)]
pub struct Output {
    /// The exit code; -1 if a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// A whole configuration: ports picked by the system, and what the listeners are to put up with.
fn with_listeners(bounds: &str, config: &str) -> String {
    let listen = format!("listen = \"127.0.0.1:0\"\n{bounds}")
        .trim_end()
        .to_owned();
    format!("[gateway]\n{listen}\n[admin]\n{listen}\n{config}")
}

/// The binary: named by `TRIPLINE_TEST_BIN`, else built now.
fn binary() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        if let Some(named) = std::env::var_os("TRIPLINE_TEST_BIN") {
            return named.into();
        }
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let built = Command::new(cargo)
            .args(["build", "--quiet", "--package", "tripline"])
            .status()
            .expect("cargo can be run");
        assert!(built.success(), "the binary could not be built");
        let test = std::env::current_exe().expect("a test has a path");
        let folder = test
            .ancestors()
            .nth(2)
            .expect("tests lie in target/PROFILE/deps");
        folder.join("tripline")
    })
}

/// A client that goes to the hub directly, whatever the environment says of proxies.
fn client() -> reqwest::Client {
    // An error only says that another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    reqwest::Client::builder()
        .no_proxy()
        .build()
        .expect("a client can be made")
}

// === impl Hub ===

impl Hub {
    /// Starts a hub on this configuration (without `[gateway]` and `[admin]`) and waits until it is ready.
    pub async fn start(config: &str) -> Self {
        let mut hub = Self::prepare(config);
        hub.launch().await;
        hub
    }

    /// A folder with this configuration; nothing is started.
    pub fn prepare(config: &str) -> Self {
        Self::prepare_behind("", config)
    }

    /// The same, with further lines for `[gateway]` and for `[admin]`.
    pub fn prepare_behind(bounds: &str, config: &str) -> Self {
        Self::prepare_of(binary(), &with_listeners(bounds, config))
    }

    /// The same of another binary, with a whole configuration.
    pub fn prepare_of(program: &Path, config: &str) -> Self {
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let hub = Self {
            folder,
            program: program.to_owned(),
            child: None,
            client: client(),
        };
        hub.write("tripline.toml", config);
        hub
    }

    /// The binary under test.
    pub fn binary() -> &'static Path {
        binary()
    }

    /// Replaces the binary; takes effect at the next start.
    pub fn upgrade(&mut self, program: &Path) {
        program.clone_into(&mut self.program);
    }

    /// Replaces the configuration; takes effect at the next start.
    pub fn configure(&self, config: &str) {
        self.write("tripline.toml", &with_listeners("", config));
    }

    /// Writes a file into the hub's folder.
    pub fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).expect("the folder can be written");
    }

    /// A path in the hub's folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The lines of a file in the hub's folder; none if there is no such file.
    pub fn lines(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(name)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }

    /// A command that runs this binary in the hub's folder, with nothing of ours in its environment.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(args);
        self.at_home(command)
    }

    fn at_home(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder.path())
            .env_remove("TRIPLINE_TOKEN")
            .env_remove("TRIPLINE_ADMIN")
            .env_remove("TRIPLINE_CONFIG");
        command
    }

    /// Starts the hub in its folder and waits until it is ready.
    pub async fn launch(&mut self) {
        self.launch_with(&[]).await;
    }

    /// The same with variables in the hub's environment.
    pub async fn launch_with(&mut self, env: &[(&str, &str)]) {
        self.launch_unready(env).await;
        eventually("the hub is ready", async || {
            let ready = self.client.get(self.admin("/readyz")).send().await.ok()?;
            ready.status().is_success().then_some(())
        })
        .await;
    }

    /// Starts the hub and waits until it answers, whether or not it is ready to take events.
    pub async fn launch_unready(&mut self, env: &[(&str, &str)]) {
        // What an earlier life left would be taken for this one's.
        let _gone = fs::remove_file(self.path("data/admin.json"));
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.path("hub.log"))
            .expect("the folder can be written");
        let child = self
            .command(&["serve", "tripline.toml"])
            .envs(env.iter().copied())
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the binary can be started");
        self.child = Some(child);
        eventually("the hub answers", async || {
            if let Some(status) = self.child.as_mut().and_then(|child| child.try_wait().ok()?) {
                panic!(
                    "the hub ended with {status}:\n{}",
                    self.lines("hub.log").join("\n")
                );
            }
            self.address("url")?;
            self.client.get(self.admin("/healthz")).send().await.ok()
        })
        .await;
    }

    /// Starts the hub where it must refuse, and returns what it printed. One that does not is killed after a minute.
    pub fn refuses(&self) -> Output {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "60"]).arg(&self.program);
        command.args(["serve", "tripline.toml"]);
        self.output(self.at_home(command))
    }

    fn address(&self, which: &str) -> Option<String> {
        let text = fs::read_to_string(self.path("data/admin.json")).ok()?;
        let value: Value = serde_json::from_str(&text).ok()?;
        Some(value[which].as_str()?.to_owned())
    }

    /// A URL of the gateway.
    pub fn gateway(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.address("gateway").expect("the hub has started")
        )
    }

    /// A URL of the admin API.
    pub fn admin(&self, path: &str) -> String {
        format!(
            "{}{path}",
            self.address("url").expect("the hub has started")
        )
    }

    /// The HTTP client of this test.
    pub fn client(&self) -> &reqwest::Client {
        &self.client
    }

    /// The admin token.
    pub fn token(&self) -> String {
        let text = fs::read_to_string(self.path("data/admin.token")).expect("the hub made a token");
        text.trim().to_owned()
    }

    /// A GET of the admin API, with the token.
    pub fn request(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.get(self.admin(path)).bearer_auth(self.token())
    }

    /// A POST to the admin API, with the token.
    pub fn call(&self, path: &str) -> reqwest::RequestBuilder {
        self.client.post(self.admin(path)).bearer_auth(self.token())
    }

    /// What the admin API answers to GET.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.request(path).send().await.expect("the hub answers");
        answer.json().await.expect("the API speaks JSON")
    }

    /// The lines of an invocation's log.
    pub async fn log(&self, request_id: &str) -> Vec<Value> {
        let log = format!("/v1/invocations/{request_id}/logs?format=json");
        let lines = self.get(&log).await;
        lines.as_array().expect("a log is a list").clone()
    }

    /// What `/metrics` says.
    pub async fn metrics(&self) -> String {
        let request = self
            .client
            .get(self.admin("/metrics"))
            .bearer_auth(self.token());
        request
            .send()
            .await
            .expect("the hub answers")
            .text()
            .await
            .expect("metrics are text")
    }

    /// Posts to the gateway, expects 202, and gives the RequestId.
    pub async fn post(&self, path: &str, body: impl Into<String>) -> String {
        let request = self.client.post(self.gateway(path)).body(body.into());
        let answer = request.send().await.expect("the gateway answers");
        assert_eq!(answer.status().as_u16(), 202);
        let value: Value = answer.json().await.expect("a receipt is JSON");
        value["request_id"]
            .as_str()
            .expect("a receipt has an id")
            .to_owned()
    }

    /// Calls a function through the API and gives the RequestId.
    pub async fn invoke(&self, function: &str, data: impl Into<Vec<u8>>) -> String {
        let url = self.admin(&format!("/v1/functions/{function}/invocations"));
        let request = self.client.post(url).bearer_auth(self.token());
        let answer = request
            .body(data.into())
            .send()
            .await
            .expect("the hub answers");
        assert_eq!(answer.status().as_u16(), 202);
        let value: Value = answer.json().await.expect("a receipt is JSON");
        value["request_id"]
            .as_str()
            .expect("a receipt has an id")
            .to_owned()
    }

    /// The hub's process.
    pub fn pid(&self) -> u32 {
        self.child.as_ref().expect("the hub has started").id()
    }

    /// All invocations that match, page by page.
    pub async fn invocations(&self, query: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), String::new());
        loop {
            let page = self
                .get(&format!("/v1/invocations?limit=500&{query}{cursor}"))
                .await;
            let found = page["invocations"]
                .as_array()
                .unwrap_or_else(|| panic!("{page}"));
            all.extend(found.iter().cloned());
            match page["next_cursor"].as_str() {
                Some(next) => cursor = format!("&cursor={next}"),
                None => return all,
            }
        }
    }

    /// Runs a command of the CLI in the hub's folder.
    pub fn cli(&self, args: &[&str]) -> Output {
        self.output(self.command(args))
    }

    fn output(&self, mut command: Command) -> Output {
        let done = command
            .stdin(Stdio::null())
            .output()
            .expect("the binary can be run");
        Output {
            code: done.status.code().unwrap_or(-1),
            stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
        }
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _already_gone = child.kill();
            let _status = child.wait();
        }
        if std::thread::panicking() {
            eprintln!(
                "--- the hub's log ---\n{}",
                self.lines("hub.log").join("\n")
            );
        }
    }
}
