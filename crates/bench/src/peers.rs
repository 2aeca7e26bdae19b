//! `peers`: what others do with a call, in the same run and with the same work: adnanh/webhook and Node-RED answer it and
//! start a process. Neither keeps anything on disk before it answers: a call that was answered and has not run is
//! forgotten with the process. The hub flushes every receipt first, and every start and end.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::Outcome;
use crate::caller::patient_loop;
use crate::hub::{Hub, Setup, first_answer, free_port, resident_bytes, still_runs};
use crate::pairs::{Report, quantile};
use crate::services::{Skipped, variable};

/// Calls in one measurement, and connections.
const COUNT: u64 = 1_500;
const CONNECTIONS: usize = 16;

/// A ledger that does not grow for so long will not grow any more.
const QUIET: Duration = Duration::from_secs(5);

/// How long runs are waited for, however many are missing: one may be slow for hours.
const LONGEST: Duration = Duration::from_secs(60);

/// How long a ledger that has every run is watched for more.
const AFTER: Duration = Duration::from_millis(300);

/// What is measured of each: the names of its figures.
struct Names {
    answers_per_second: &'static str,
    broken_calls: &'static str,
    p99_ms: &'static str,
    runs_per_second: &'static str,
    ran_share: &'static str,
    memory_mib: &'static str,
    first_answer_ms: &'static str,
}

macro_rules! names {
    ($peer:literal) => {
        Names {
            answers_per_second: concat!($peer, "_answers_per_second"),
            broken_calls: concat!($peer, "_broken_calls"),
            p99_ms: concat!($peer, "_p99_ms"),
            runs_per_second: concat!($peer, "_runs_per_second"),
            ran_share: concat!($peer, "_ran_share"),
            memory_mib: concat!($peer, "_memory_mib"),
            first_answer_ms: concat!($peer, "_first_answer_ms"),
        }
    };
}

/// One of the others, running in a folder of its own.
struct Peer {
    child: Child,
    folder: TempDir,
    url: String,
    first_answer_ms: f64,
}

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let (webhook, node_red) = (
        variable("TRIPLINE_BENCH_WEBHOOK"),
        variable("TRIPLINE_BENCH_NODE_RED"),
    );
    for (name, found) in [("adnanh/webhook", &webhook), ("Node-RED", &node_red)] {
        if let Err(why) = found {
            println!("SKIPPED: {name}: {why}");
        }
    }
    let (webhook, node_red) = (webhook.ok(), node_red.ok());
    if webhook.is_none() && node_red.is_none() {
        return Err(Skipped::of("none of the others is here").into());
    }
    let mut report = Report::new(
        "peers",
        "the first of the others, which keep nothing on disk, in runs a second",
    );
    for _ in 0..pairs {
        let mut others = Vec::new();
        if let Some(path) = &webhook {
            let peer = Peer::webhook(path.as_ref()).await?;
            others.push(peer.measure(&mut report, &names!("webhook")).await?);
        }
        if let Some(path) = &node_red {
            let peer = Peer::node_red(path.as_ref()).await?;
            others.push(peer.measure(&mut report, &names!("node_red")).await?);
        }
        let ours = hub(program, &mut report).await?;
        let least = others.first().copied().unwrap_or(f64::NAN);
        report.ratio(ours / least);
    }
    let is_one = |share: f64| (share - 1.0).abs() < f64::EPSILON;
    let once = is_one(report.smallest("hub_ran_share")) && is_one(report.largest("hub_ran_share"));
    report.goal("every receipt of the hub's has run once", once);
    let answered = report.largest("hub_broken_calls") < 0.5;
    report.goal("the hub has answered every call", answered);
    Ok(report)
}

/// The same work in a hub; runs a second.
async fn hub(program: &Path, report: &mut Report) -> Outcome<f64> {
    let ledger = tempfile::tempdir()?;
    let path = ledger.path().join("ledger");
    File::create(&path)?;
    let functions = format!(
        "[functions.note]\ncommand = ['sh', '-c', '{}']\nconcurrency = 8\n\
         [triggers.hook]\nkind = 'http'\nfunction = 'note'\nroute = 'POST /event'\nauth = 'none'\n",
        work(&path)
    );
    let mut setup = Setup::of(&functions);
    setup.gateway = format!("127.0.0.1:{}", free_port()?);
    let url = format!("http://{}/event", setup.gateway);
    let began = Instant::now();
    let mut hub = Hub::spawn(program, tempfile::tempdir()?, setup)?;
    let first_answer_ms = hub.first_answer(&url, began).await?;
    let hub = hub.ready().await?;
    measured(
        report,
        &names!("hub"),
        (&url, &path),
        first_answer_ms,
        &|| hub.resident_bytes(),
    )
    .await
}

/// What each call is to do.
fn work(ledger: &Path) -> String {
    format!("echo x >> {}", ledger.display())
}

/// Calls, waits until no more runs come, notes what was seen; runs a second.
async fn measured(
    report: &mut Report,
    names: &Names,
    (url, ledger): (&str, &Path),
    first_answer_ms: f64,
    memory: &(dyn Fn() -> u64 + Sync),
) -> Outcome<f64> {
    // The call that found it ready.
    ran(ledger, 1).await;
    let began = Instant::now();
    let mut answered = patient_loop(url, COUNT, CONNECTIONS).await?;
    let (runs, at) = ran(ledger, COUNT + 1).await;
    let (count, runs, memory) = (COUNT as f64, (runs - 1) as f64, memory() as f64);
    let (broken, answers) = (answered.broken as f64, answered.millis.len() as f64);
    report.figure(names.broken_calls, broken);
    report.figure(
        names.answers_per_second,
        answers / answered.took.as_secs_f64(),
    );
    report.figure(names.p99_ms, quantile(&mut answered.millis, 0.99));
    let per_second = runs / (at - began).as_secs_f64();
    report.figure(names.runs_per_second, per_second);
    report.figure(names.ran_share, runs / count);
    report.figure(names.memory_mib, memory / f64::from(1 << 20));
    report.figure(names.first_answer_ms, first_answer_ms);
    Ok(per_second)
}

/// Waits until the ledger stands still, but not for ever; how many lines it has, and since when. With all that are
/// wanted it is looked at only a little longer, for runs that nobody called.
async fn ran(ledger: &Path, wanted: u64) -> (u64, Instant) {
    let lines = || fs::read(ledger).map_or(0, |bytes| bytes.len() as u64 / 2);
    let (mut seen, mut since) = (lines(), Instant::now());
    let by = since + LONGEST;
    while Instant::now() < by && since.elapsed() < if seen < wanted { QUIET } else { AFTER } {
        tokio::time::sleep(Duration::from_millis(2)).await;
        let now = lines();
        if now > seen {
            (seen, since) = (now, Instant::now());
        }
    }
    (seen, since)
}

// === impl Peer ===

impl Peer {
    /// adnanh/webhook: it answers, then starts the command.
    async fn webhook(program: &Path) -> Outcome<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let argument = |name: &str| json!({ "source": "string", "name": name });
        let hooks = json!([{
            "id": "event", "execute-command": "/bin/sh",
            "pass-arguments-to-command": [argument("-c"), argument(&work(&folder.path().join("ledger")))],
        }]);
        fs::write(folder.path().join("hooks.json"), hooks.to_string())?;
        let mut command = Command::new(program);
        command.args([
            "-hooks",
            "hooks.json",
            "-ip",
            "127.0.0.1",
            "-port",
            &port.to_string(),
        ]);
        Self::start(
            command,
            folder,
            format!("http://127.0.0.1:{port}/hooks/event"),
        )
        .await
    }

    /// Node-RED: a flow from `http in` to `exec` and to `http response`.
    async fn node_red(home: &Path) -> Outcome<Self> {
        let (folder, port) = (tempfile::tempdir()?, free_port()?);
        let flow = json!([
            { "id": "flow", "type": "tab" },
            { "id": "in", "type": "http in", "z": "flow", "url": "/event", "method": "post", "wires": [["run", "out"]] },
            { "id": "run", "type": "exec", "z": "flow", "command": work(&folder.path().join("ledger")),
              "addpay": "", "append": "", "useSpawn": "false", "timer": "", "wires": [[], [], []] },
            { "id": "out", "type": "http response", "z": "flow", "statusCode": "202", "wires": [] },
        ]);
        fs::write(folder.path().join("flows.json"), flow.to_string())?;
        let settings = "module.exports = { flowFile: 'flows.json', uiHost: '127.0.0.1', httpAdminRoot: false, \
                        logging: { console: { level: 'error' } } };";
        fs::write(folder.path().join("settings.js"), settings)?;
        let mut command = Command::new("node");
        command.arg(home.join("node_modules/node-red/red.js"));
        command.args([
            "-u",
            ".",
            "-s",
            "settings.js",
            "-p",
            &port.to_string(),
            "flows.json",
        ]);
        Self::start(command, folder, format!("http://127.0.0.1:{port}/event")).await
    }

    async fn start(mut command: Command, folder: TempDir, url: String) -> Outcome<Self> {
        let log = File::create(folder.path().join("log"))?;
        let began = Instant::now();
        let child = command
            .current_dir(folder.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        let mut peer = Self {
            child,
            folder,
            url,
            first_answer_ms: 0.0,
        };
        let (log, child) = (peer.folder.path().join("log"), &mut peer.child);
        peer.first_answer_ms = first_answer(&peer.url, began, || still_runs(child, &log)).await?;
        Ok(peer)
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    async fn measure(&self, report: &mut Report, names: &Names) -> Outcome<f64> {
        let (ledger, pid) = (self.ledger(), self.child.id());
        let memory = move || resident_bytes(pid);
        measured(
            report,
            names,
            (&self.url, &ledger),
            self.first_answer_ms,
            &memory,
        )
        .await
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // With all that it has started.
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-9", "--", &group]).status();
        let _ = self.child.wait();
    }
}
