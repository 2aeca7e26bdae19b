//! The hub under test with its configuration, and the real services around it.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rdkafka::ClientConfig;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use tripline_model::Timestamp;
use tripline_tests::{Disk, Hub, S3, eventually, free_port, kafka, processes_with, s3_store};

use crate::binary::binary;
use crate::groups::Groups;
use crate::secrets;

/// Events that the hub takes in any second: few enough that callers are refused all the time.
pub(crate) const QPS: usize = 60;

/// Room for the hub's data where it has a disk of its own.
const DISK_MIB: u64 = 400;

/// Partitions of the topic.
pub(crate) const PARTITIONS: i32 = 2;

/// What the function prints, line by line: to its output and to its errors.
pub(crate) const PRINTS: [&[&str]; 2] = [&["one", "two"], &["aside"]];

/// How the function behaves is part of its event's mark. The daemon must not outlive its invocation. What it writes down of
/// its event's data is in `payload.rs`; somebody who is killed over it writes nothing.
const FUNCTION: &str = r#"
echo "start $TRIPLINE_REQUEST_ID $CE_SUBJECT" >> ledger
echo one
echo "half $TRIPLINE_REQUEST_ID" >> ledger
case "$CE_SUBJECT" in
    *object-*) data=$(sed 's/.*"key":"\(.*\)","size":\([0-9]*\),.*/\1:\2/') ;;
    *) data=$(sha256sum) ;;
esac && echo "data $TRIPLINE_REQUEST_ID ${data%% *}" >> ledger
echo left > "$TRIPLINE_SCRATCH/left"
case "$CE_SUBJECT" in
    *-slow) sleep 0.4 ;;
    *-daemon) setsid sleep 600 & ;;
esac
echo aside >&2
echo two
echo "end $TRIPLINE_REQUEST_ID" >> ledger
case "$CE_SUBJECT" in *-fail) exit 3 ;; esac
"#;

const CONFIG: &str = r#"
[hub]
qps = QPS
[gateway]
listen = "127.0.0.1:PORT"
[admin]
listen = "127.0.0.1:0"
[functions.work]
command = ["sh", "-c", '''FUNCTION''']
concurrency = 6
[functions.keeper]
command = ["sh", "-c", '''FUNCTION''']
concurrency = 3
env = { OWN = { file = "secrets/own" } }
[triggers.call]
kind = "http"
function = "work"
route = "POST /call/{mark}"
auth = "none"
[triggers.guarded]
kind = "http"
function = "keeper"
route = "POST /guarded/{mark}"
auth = { bearer = { file = "secrets/bearer" } }
"#;

const TICK: &str = r#"
[triggers.tick]
kind = "cron"
function = "work"
schedule = "* * * * * *"
timezone = "UTC"
"#;

/// A static member: a hub that died does not keep its partitions until its session has run out.
const RECORD: &str = r#"
[triggers.record]
kind = "kafka"
function = "work"
"bootstrap.servers" = "BROKER"
topics = ["NAME"]
"group.id" = "NAME"
"group.instance.id" = "hub"
"auto.offset.reset" = "earliest"
"#;

const OBJECT: &str = r#"
[triggers.object]
kind = "s3"
function = "work"
endpoint = "ENDPOINT"
access_key = { env = "S3_ACCESS_KEY" }
secret_key = { env = "S3_SECRET_KEY" }
bucket = "NAME"
mode = "poll"
interval = "1s"
settle = "0s"
"#;

/// Topics, groups and buckets are shared with other tests: each world has names of its own.
static WORLDS: AtomicU32 = AtomicU32::new(0);

/// Which triggers there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sources {
    /// All four, where their services can be had.
    All,
    /// HTTP only: nothing happens that nobody asked for.
    Calls,
}

/// All that is acted on.
pub(crate) struct World {
    pub(crate) hub: Hub,
    /// Whether the hub's process runs.
    pub(crate) alive: bool,
    pub(crate) broker: Option<String>,
    pub(crate) store: Option<S3>,
    /// Where the hub's data is, if its power can be cut.
    disk: Option<Disk>,
    /// Topic and bucket.
    pub(crate) name: String,
    pub(crate) gateway: String,
    /// When each life of the hub began.
    pub(crate) lives: Vec<Timestamp>,
    /// When the power was cut.
    pub(crate) cuts: Vec<Timestamp>,
    /// When executors were killed.
    pub(crate) executor_deaths: Vec<Span>,
    /// When functions were killed.
    pub(crate) function_deaths: Vec<Span>,
    pub(crate) groups: Groups,
}

/// What hubs found when they began: see [`FOUND`].
pub(crate) type Recovered = [usize; 4];

/// Runs that nobody knew of any more, that went on or had ended meanwhile, that were over, and what waited; in a hub's words.
pub(crate) const FOUND: [&str; 4] = ["lost", "resumed", "over", "queued"];

/// Reads the line of a log that says it.
fn recovered(line: &str) -> Option<Recovered> {
    let (_, figures) = line.split_once("INFO recovered ")?;
    let figure = |name: &str| {
        let of_name = |word: &str| word.strip_prefix(name)?.strip_prefix('=')?.parse().ok();
        figures.split(' ').find_map(of_name).unwrap_or(0)
    };
    Some(FOUND.map(figure))
}

/// From just before something happened until just after it.
pub(crate) type Span = [Timestamp; 2];

/// The time now, as the hub's records say it, too.
pub(crate) fn now() -> Timestamp {
    #[expect(
        clippy::disallowed_methods,
        reason = "lives are compared with times in the hub's records"
    )]
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

// === impl World ===

impl World {
    /// Finds the services, writes the configuration; what cannot be had was said aloud.
    pub(crate) async fn prepare(sources: Sources) -> Self {
        Self::prepare_on(None, sources, Hub::prepare_of(binary(), "")).await
    }

    /// The same on a disk of its own; `None` was said aloud.
    pub(crate) async fn prepare_on_disk() -> Option<Self> {
        let hub = Hub::prepare_of(binary(), "");
        let disk = Disk::mount("power cuts under load", DISK_MIB, &hub.path("data"))?;
        Some(Self::prepare_on(Some(disk), Sources::All, hub).await)
    }

    async fn prepare_on(disk: Option<Disk>, sources: Sources, hub: Hub) -> Self {
        let number = WORLDS.fetch_add(1, Ordering::Relaxed);
        let name = format!("crash-{}-{number}", std::process::id());
        let all = sources == Sources::All;
        let broker = all.then(|| kafka("kills of the hub under load from Kafka"));
        let broker = broker.flatten();
        if let Some(broker) = &broker {
            make_topic(broker, &name).await;
        }
        let store = all.then(|| s3_store("kills of the hub under load from an object store"));
        let store = store.flatten();
        if let Some(store) = &store {
            store.create(&name).await;
        }
        let port = free_port();
        let mut world = Self {
            hub,
            alive: false,
            broker,
            store,
            disk,
            name,
            gateway: format!("http://127.0.0.1:{port}"),
            lives: Vec::new(),
            cuts: Vec::new(),
            executor_deaths: Vec::new(),
            function_deaths: Vec::new(),
            groups: Groups::default(),
        };
        world.hub.write("tripline.toml", &world.config(port, all));
        world.hub.write("ledger", "");
        secrets::write(&world.hub);
        world.launch().await;
        world.watches().await;
        world
    }

    /// Waits until the bucket has been listed: what is there before is not new.
    async fn watches(&self) {
        if self.store.is_some() {
            eventually("the bucket has been listed", async || {
                let trigger = self.hub.get("/v1/triggers/object").await;
                trigger["facts"]["last_listing"].is_string().then_some(())
            })
            .await;
        }
    }

    fn config(&self, port: u16, ticks: bool) -> String {
        let mut config = CONFIG
            .replace("PORT", &port.to_string())
            .replace("QPS", &QPS.to_string())
            .replace("FUNCTION", FUNCTION);
        if ticks {
            config += TICK;
        }
        if let Some(broker) = &self.broker {
            config += &RECORD.replace("BROKER", broker);
        }
        if let Some(store) = &self.store {
            config += &OBJECT.replace("ENDPOINT", &store.endpoint);
        }
        config.replace("NAME", &self.name)
    }

    /// The triggers of a world with all sources that there are.
    pub(crate) fn triggers(&self) -> Vec<&'static str> {
        let record = self.broker.as_ref().map(|_| "record");
        let object = self.store.as_ref().map(|_| "object");
        ["call", "guarded", "tick"]
            .into_iter()
            .chain(record)
            .chain(object)
            .collect()
    }

    /// The disk whose power can be cut.
    pub(crate) fn disk(&self) -> &Disk {
        self.disk
            .as_ref()
            .expect("this world has a disk of its own")
    }

    /// A new life of the hub, unless it lives.
    pub(crate) async fn launch(&mut self) {
        if !self.alive {
            self.begins();
            match &self.store {
                Some(store) => self.hub.launch_with(&store.env()).await,
                None => self.hub.launch().await,
            }
            self.alive = true;
        }
    }

    /// A life of the hub begins.
    pub(crate) fn begins(&mut self) {
        self.lives.push(now());
    }

    /// Cuts the power of its disk.
    pub(crate) fn cut_power(&mut self) {
        self.disk().cut_power();
        self.cuts.push(now());
    }

    /// Ends the hub as an unlucky machine does.
    pub(crate) async fn kill_hub(&mut self) {
        self.alive = false;
        self.hub.kill().await;
    }

    /// Waits for a hub that ends, and says how it did.
    pub(crate) async fn bury_hub(&mut self) -> ExitStatus {
        self.alive = false;
        self.hub.exited().await
    }

    /// What the hubs said that recovery found, all of them together.
    pub(crate) fn recovered(&self) -> Recovered {
        let log = self.hub.lines("hub.log");
        log.iter()
            .filter_map(|line| recovered(line))
            .fold([0; 4], |sum, one| {
                std::array::from_fn(|at| sum[at] + one[at])
            })
    }

    /// Ends every executor there is.
    pub(crate) fn kill_executors(&mut self) {
        let begun = now();
        for executor in self.hub.executors() {
            end(executor.pid);
        }
        self.executor_deaths.push([begun, now()]);
    }

    /// Ends so many of the functions' processes.
    pub(crate) fn kill_functions(&mut self, most: usize) {
        let begun = now();
        self.instances().into_iter().take(most).for_each(end);
        self.function_deaths.push([begun, now()]);
    }

    /// Processes of functions, and what they have started.
    pub(crate) fn instances(&self) -> Vec<i32> {
        let data = self.hub.path("data/executors");
        processes_with(&format!("TRIPLINE_SCRATCH={}", data.display()))
    }

    /// What functions have left in their scratch directories; empty ones wait for the next run.
    pub(crate) fn scratch(&self) -> BTreeSet<String> {
        let mut paths = vec![self.hub.path("data/executors")];
        // executors / one of them / scratch / function / run / what it left
        for level in ["", "scratch", "", "", ""] {
            let entries = |dir: &PathBuf| fs::read_dir(dir).into_iter().flatten();
            let inner = paths.iter().flat_map(entries).flatten();
            let inner = inner.map(|entry| entry.path());
            let is_meant = |path: &PathBuf| level.is_empty() || path.ends_with(level);
            paths = inner.filter(is_meant).collect();
        }
        let names = paths.into_iter().map(|path| path.display().to_string());
        names.collect()
    }
}

/// `kill -9` for a process that may have ended by itself.
pub(crate) fn end(pid: i32) {
    match kill(Pid::from_raw(pid), Signal::SIGKILL) {
        Ok(()) | Err(nix::errno::Errno::ESRCH) => {}
        Err(error) => panic!("{pid} cannot be killed: {error}"),
    }
}

async fn make_topic(broker: &str, name: &str) {
    let admin: AdminClient<DefaultClientContext> = ClientConfig::new()
        .set("bootstrap.servers", broker)
        .create()
        .expect("an admin client can be made");
    let topic = NewTopic::new(name, PARTITIONS, TopicReplication::Fixed(1));
    let made = admin.create_topics([&topic], &AdminOptions::new()).await;
    for result in made.expect("the broker answers") {
        result.expect("a topic can be made");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hub_says_what_it_found() {
        let line = "2026-11-30T10:26:51.485080Z  INFO recovered lost=6 resumed=1 over=0 queued=121";
        assert_eq!(recovered(line), Some([6, 1, 0, 121]));
        assert_eq!(recovered("2026-11-30T10:26:51.485080Z  INFO ready"), None);
    }
}
