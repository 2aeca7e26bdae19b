//! A hub in a folder of its own: the real binary.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::Outcome;
use crate::caller::closed_loop;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// How a hub is set up. Ports are picked by the system.
pub(crate) struct Setup {
    /// More lines of `[hub]`.
    pub(crate) hub: String,
    /// Events a second that are taken: none too many, unless the limit is what is measured.
    pub(crate) qps: u64,
    /// Where the gateway listens.
    pub(crate) gateway: String,
    /// Functions and triggers.
    functions: String,
}

/// A running hub.
pub(crate) struct Hub {
    child: Child,
    folder: TempDir,
    gateway: String,
    admin: String,
    token: String,
    client: reqwest::Client,
}

// === impl Setup ===

impl Setup {
    pub(crate) fn of(functions: &str) -> Self {
        Self {
            hub: String::new(),
            qps: 100_000,
            gateway: "127.0.0.1:0".to_owned(),
            functions: functions.to_owned(),
        }
    }

    fn text(&self) -> String {
        let Self {
            hub,
            qps,
            gateway,
            functions,
        } = self;
        format!(
            "[hub]\nqps = {qps}\ndrain = '1s'\n{hub}[gateway]\nlisten = '{gateway}'\nmax_connections = 4096\n\
             [admin]\nlisten = '127.0.0.1:0'\n{functions}"
        )
    }
}

// === impl Hub ===

impl Hub {
    /// Starts one in a new folder and waits until it takes events.
    pub(crate) async fn start(program: &Path, functions: &str) -> Outcome<Self> {
        Self::launch(program, tempfile::tempdir()?, Setup::of(functions)).await
    }

    /// The same, with a limit.
    pub(crate) async fn with_qps(program: &Path, qps: u64, functions: &str) -> Outcome<Self> {
        let setup = Setup {
            qps,
            ..Setup::of(functions)
        };
        Self::launch(program, tempfile::tempdir()?, setup).await
    }

    /// Starts one in a folder that may hold data, and waits until it takes events.
    pub(crate) async fn launch(program: &Path, folder: TempDir, setup: Setup) -> Outcome<Self> {
        Self::spawn(program, folder, setup)?.ready().await
    }

    /// Starts one and does not wait.
    pub(crate) fn spawn(program: &Path, folder: TempDir, setup: Setup) -> Outcome<Self> {
        std::fs::write(folder.path().join("tripline.toml"), setup.text())?;
        let log = std::fs::File::create(folder.path().join("hub.log"))?;
        // Left by an earlier life of it.
        let _ = std::fs::remove_file(folder.path().join("data/admin.json"));
        let child = Command::new(program)
            .args(["serve", "tripline.toml"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        Ok(Self {
            child,
            folder,
            gateway: String::new(),
            admin: String::new(),
            token: String::new(),
            client: reqwest::Client::builder().no_proxy().build()?,
        })
    }

    /// Waits until it takes events.
    pub(crate) async fn ready(mut self) -> Outcome<Self> {
        let by = Instant::now() + PATIENCE;
        while self.find().await.is_none() {
            self.still_runs()?;
            if Instant::now() > by {
                return Err(format!("the hub was not ready within {PATIENCE:?}").into());
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        Ok(self)
    }

    /// Calls until it answers with success, and no more; milliseconds since `began`.
    pub(crate) async fn first_answer(&mut self, url: &str, began: Instant) -> Outcome<f64> {
        first_answer(url, began, || self.still_runs()).await
    }

    fn still_runs(&mut self) -> Outcome<()> {
        let log = self.path("hub.log");
        still_runs(&mut self.child, &log)
    }

    /// Stops it, and gives its folder back.
    pub(crate) fn stop(mut self) -> Outcome<TempDir> {
        let folder = std::mem::replace(&mut self.folder, tempfile::tempdir()?);
        drop(self);
        Ok(folder)
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
        self.total("tripline_invocations_ended_total", "succeeded")
            .await
    }

    /// Events that were accepted.
    pub(crate) async fn accepted(&self) -> Option<u64> {
        self.total("tripline_accepted_total", "").await
    }

    /// The sum of a metric over the labels that contain `label`.
    async fn total(&self, metric: &str, label: &str) -> Option<u64> {
        let text = self.get("/metrics").send().await.ok()?.text().await.ok()?;
        let lines = text
            .lines()
            .filter(|line| line.starts_with(metric) && line.contains(label));
        let values = lines.filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        Some(values.sum())
    }

    /// Milliseconds since 1970 at which invocations were accepted, newest first.
    pub(crate) async fn accepted_at_ms(&self) -> Outcome<Vec<u64>> {
        let all = self.invocations().await?;
        all.iter().map(|one| millis(&one["accepted_at"])).collect()
    }

    /// Milliseconds from each event to its acceptance, newest first.
    pub(crate) async fn lateness_ms(&self) -> Outcome<Vec<f64>> {
        let late = |one: &Value| {
            let (event, accepted) = (millis(&one["event"]["time"])?, millis(&one["accepted_at"])?);
            Ok(accepted.saturating_sub(event) as f64)
        };
        self.invocations().await?.iter().map(late).collect()
    }

    /// All invocations, newest first.
    async fn invocations(&self) -> Outcome<Vec<Value>> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let after = cursor.map_or_else(String::new, |id| format!("&cursor={id}"));
            let page = self.get(&format!("/v1/invocations?limit=1000{after}"));
            let page: Value = page.send().await?.error_for_status()?.json().await?;
            let entries = page["invocations"].as_array().ok_or("not a list")?;
            all.extend_from_slice(entries);
            match page["next_cursor"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(all),
            }
        }
    }

    /// Bytes of memory that the hub holds.
    pub(crate) fn own_resident_bytes(&self) -> u64 {
        resident_bytes(self.child.id())
    }

    /// Bytes of them that are its own, and not pages of its binary.
    pub(crate) fn own_anonymous_bytes(&self) -> u64 {
        status_bytes(self.child.id(), "RssAnon:")
    }

    /// Seconds of processor time that the hub and its executors have used.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        self.pids().map(cpu_seconds).sum()
    }

    /// Bytes of memory that the hub and its executors hold.
    pub(crate) fn resident_bytes(&self) -> u64 {
        self.pids().map(resident_bytes).sum()
    }

    fn pids(&self) -> impl Iterator<Item = u32> {
        let dirs = std::fs::read_dir(self.path("data/executors"))
            .into_iter()
            .flatten();
        let executor = |dir: std::io::Result<std::fs::DirEntry>| {
            let lock = std::fs::read_to_string(dir.ok()?.path().join("lock")).ok()?;
            lock.trim().parse().ok()
        };
        dirs.filter_map(executor).chain([self.child.id()])
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

/// Bytes of memory that a process holds.
pub(crate) fn resident_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmRSS:")
}

fn status_bytes(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn cpu_seconds(pid: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // The name before may hold spaces; user and system time are the 12th and 13th field after it.
    let after = stat.rsplit(')').next().unwrap_or_default();
    let ticks = after.split_whitespace().skip(11).take(2);
    let ticks: f64 = ticks.filter_map(|field| field.parse::<f64>().ok()).sum();
    ticks / 100.0
}

/// Milliseconds since 1970 of a moment as the API writes it.
fn millis(moment: &Value) -> Outcome<u64> {
    let text = moment.as_str().ok_or("no moment")?;
    let at = tripline_model::Timestamp::parse(text).ok_or("no moment")?;
    Ok(u64::try_from(at.as_millis())?)
}

/// A port that was free a moment ago.
pub(crate) fn free_port() -> Outcome<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Calls until somebody answers with success, and no more; milliseconds since `began`. `look` says what it sees of who is
/// to answer.
pub(crate) async fn first_answer(
    url: &str,
    began: Instant,
    mut look: impl FnMut() -> Outcome<()>,
) -> Outcome<f64> {
    let calling = async {
        // Refused until it listens.
        while closed_loop(url, 1, 1).await.is_err() {
            look()?;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(began.elapsed().as_secs_f64() * 1000.0)
    };
    let answered = tokio::time::timeout(PATIENCE, calling).await;
    answered.map_err(|_| format!("{url}: no answer within {PATIENCE:?}"))?
}

/// An error, with its log, if a process has ended.
pub(crate) fn still_runs(child: &mut Child, log: &Path) -> Outcome<()> {
    match child.try_wait()? {
        None => Ok(()),
        Some(status) => {
            let log = std::fs::read_to_string(log).unwrap_or_default();
            Err(format!("process {} ended ({status}):\n{log}", child.id()).into())
        }
    }
}

/// Looks fifty times a second until there is something: more often, and the looking itself would be measured.
pub(crate) async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> Outcome<T> {
    let looking = async {
        loop {
            if let Some(found) = look().await {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let found = tokio::time::timeout(PATIENCE, looking).await;
    found.map_err(|_| format!("waited {PATIENCE:?} in vain: {what}").into())
}
