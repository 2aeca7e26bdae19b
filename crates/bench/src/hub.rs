//! A hub in a folder of its own: the real binary.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::Outcome;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// Head of every configuration: no limit in the way, and ports picked by the system.
const HEAD: &str = "\
[hub]
qps = 100000
[gateway]
listen = \"127.0.0.1:0\"
max_connections = 4096
[admin]
listen = \"127.0.0.1:0\"
";

/// A running hub.
pub(crate) struct Hub {
    child: Child,
    folder: TempDir,
    gateway: String,
    admin: String,
    token: String,
    client: reqwest::Client,
}

// === impl Hub ===

impl Hub {
    /// Starts it and waits until it takes events.
    pub(crate) async fn start(program: &Path, functions: &str) -> Outcome<Self> {
        let folder = tempfile::tempdir()?;
        std::fs::write(
            folder.path().join("tripline.toml"),
            format!("{HEAD}{functions}"),
        )?;
        let log = std::fs::File::create(folder.path().join("hub.log"))?;
        let child = Command::new(program)
            .args(["serve", "tripline.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let client = reqwest::Client::builder().no_proxy().build()?;
        let mut hub = Self {
            child,
            folder,
            gateway: String::new(),
            admin: String::new(),
            token: String::new(),
            client,
        };
        until("the hub is ready", async || hub.find().await).await?;
        Ok(hub)
    }

    async fn find(&mut self) -> Option<()> {
        let text = std::fs::read_to_string(self.path("data/admin.json")).ok()?;
        let addresses: Value = serde_json::from_str(&text).ok()?;
        addresses["gateway"].as_str()?.clone_into(&mut self.gateway);
        addresses["url"].as_str()?.clone_into(&mut self.admin);
        let token = std::fs::read_to_string(self.path("data/admin.token")).ok()?;
        token.trim().clone_into(&mut self.token);
        let ready = self
            .client
            .get(format!("{}/readyz", self.admin))
            .send()
            .await
            .ok()?;
        ready.status().is_success().then_some(())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn gateway(&self, path: &str) -> String {
        format!("{}{path}", self.gateway)
    }

    /// A request to the admin API.
    pub(crate) fn get(&self, path: &str) -> reqwest::RequestBuilder {
        self.client
            .get(format!("{}{path}", self.admin))
            .bearer_auth(&self.token)
    }

    /// Invocations that have succeeded.
    pub(crate) async fn succeeded(&self) -> Option<u64> {
        let text = self.get("/metrics").send().await.ok()?.text().await.ok()?;
        let ended = |line: &&str| {
            line.starts_with("tripline_invocations_ended_total") && line.contains("succeeded")
        };
        let lines = text.lines().filter(ended);
        Some(
            lines
                .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
                .sum(),
        )
    }

    /// Bytes of memory that the hub and its executors hold.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let dirs = std::fs::read_dir(self.path("data/executors"))
            .into_iter()
            .flatten();
        let executor = |dir: std::io::Result<std::fs::DirEntry>| {
            let lock = std::fs::read_to_string(dir.ok()?.path().join("lock")).ok()?;
            lock.trim().parse().ok()
        };
        let pids = dirs.filter_map(executor).chain([self.child.id()]);
        pids.map(resident_bytes).sum()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // Politely, so that the executor goes, too.
        let _ = Command::new("kill")
            .arg(self.child.id().to_string())
            .status();
        let _ = self.child.wait();
    }
}

fn resident_bytes(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// Looks every few milliseconds until there is something.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Outcome<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.map_err(|_| format!("waited {PATIENCE:?} in vain: {what}").into())
}
