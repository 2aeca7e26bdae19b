//! `xtask kafka-node`: a private Kafka broker in a folder, or a cluster of a few, for tests that
//! stop, kill and restart them. A broker outlives this command; whoever started it ends it with `stop` or `kill`, and a
//! run of `cargo xtask test` ends what was forgotten.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use clap::{Args, Subcommand};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::failure::{Failure, Outcome};
use crate::ports::Port;
use crate::process;
use crate::services::KafkaHome;
use crate::services::node::{Node, READY, START_LIMIT};
use crate::time;

const STOP_LIMIT: Duration = Duration::from_secs(20);
const KILL_LIMIT: Duration = Duration::from_secs(10);

/// The `kafka-node` command line.
#[derive(Args)]
pub(crate) struct KafkaNodeArgs {
    /// Folder of the broker: settings, data, log; made by the first `start`
    #[arg(long)]
    dir: PathBuf,
    /// How many brokers the first `start` makes, each with a copy of every record
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=5))]
    nodes: u8,
    /// The one that is meant, counted from 1 (default: all of them)
    #[arg(long)]
    node: Option<usize>,
    /// Folder with Kafka's jars in lib/ (default: the one that `cargo xtask services` fetches)
    #[arg(long, env = "TRIPLINE_TEST_KAFKA_HOME")]
    home: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Subcommand)]
enum Verb {
    /// Start it, wait until it serves, print BOOTSTRAP=, SASL_BOOTSTRAP=, PROXIED= and PID= (same ports each time)
    Start,
    /// End it in an orderly way (SIGTERM) and wait until it is gone
    Stop,
    /// End it at once (SIGKILL) and wait until it is gone
    Kill,
    /// Freeze it (SIGSTOP): clients see time-outs instead of closed connections
    Pause,
    /// Let it go on after `pause` (SIGCONT)
    Resume,
}

/// Does one thing to the broker in the folder.
pub(crate) fn run(args: &KafkaNodeArgs) -> Outcome<u8> {
    if matches!(args.verb, Verb::Start) {
        start(args)?;
        return Ok(0);
    }
    for dir in chosen(args, folders(&args.dir))? {
        match args.verb {
            Verb::Start => {}
            Verb::Stop => end(&dir, Signal::SIGTERM, STOP_LIMIT)?,
            Verb::Kill => end(&dir, Signal::SIGKILL, KILL_LIMIT)?,
            Verb::Pause => send(&dir, Signal::SIGSTOP)?,
            Verb::Resume => send(&dir, Signal::SIGCONT)?,
        }
    }
    Ok(0)
}

/// The folders of the brokers that were made in `dir`: those of a cluster lie in it.
fn folders(dir: &Path) -> Vec<PathBuf> {
    let nodes = (1..).map(|node| dir.join(format!("node-{node}")));
    let nodes: Vec<PathBuf> = nodes.take_while(|folder| folder.is_dir()).collect();
    match nodes.is_empty() {
        true => vec![dir.to_owned()],
        false => nodes,
    }
}

/// Those of them that are meant.
fn chosen(args: &KafkaNodeArgs, all: Vec<PathBuf>) -> Outcome<Vec<PathBuf>> {
    let Some(node) = args.node else {
        return Ok(all);
    };
    let found = node.checked_sub(1).and_then(|at| all.get(at));
    match found {
        Some(dir) => Ok(vec![dir.clone()]),
        None => Err(Failure::new(format!(
            "there is no broker {node} in {}: it has {}",
            args.dir.display(),
            all.len()
        ))),
    }
}

fn start(args: &KafkaNodeArgs) -> Outcome<()> {
    for node in 1..=args.nodes {
        let dir = match args.nodes {
            1 => args.dir.clone(),
            _ => args.dir.join(format!("node-{node}")),
        };
        fs::create_dir_all(&dir).map_err(|error| Failure::file("create", &dir, error))?;
    }
    // The full path distinguishes this broker's process from every other one.
    let dir = args
        .dir
        .canonicalize()
        .map_err(|error| Failure::file("find", &args.dir, error))?;
    let dirs = folders(&dir);
    let starting = chosen(args, dirs.clone())?;
    if let Some((dir, pid)) = starting.iter().find_map(|dir| Some((dir, running(dir)?))) {
        return Err(Failure::new(format!(
            "the broker in {} runs already ({pid})",
            dir.display()
        )));
    }
    let home = match &args.home {
        Some(home) => KafkaHome::at(home)?,
        None => KafkaHome::installed()?,
    };
    let nodes = open_or_create(home, &dirs)?;
    let mut starts = Vec::with_capacity(starting.len());
    for (node, dir) in nodes.iter().zip(&dirs) {
        if starting.contains(dir) {
            starts.push(Start::launch(node, dir)?);
        }
    }
    let mut pids = Vec::with_capacity(starts.len());
    for start in starts {
        pids.push(start.wait_ready()?.to_string());
    }
    let all = |address: fn(&Node) -> Outcome<String>| -> Outcome<String> {
        let each: Outcome<Vec<String>> = nodes.iter().map(address).collect();
        Ok(each?.join(","))
    };
    println!("BOOTSTRAP={}", all(Node::bootstrap)?);
    println!("SASL_BOOTSTRAP={}", all(Node::sasl_bootstrap)?);
    println!("PROXIED={}", all(Node::proxied)?);
    println!("PID={}", pids.join(","));
    Ok(())
}

fn open_or_create(home: KafkaHome, dirs: &[PathBuf]) -> Outcome<Vec<Node>> {
    let open = |dir: &PathBuf| Node::open(home.clone(), dir);
    match (dirs.iter().map(open).collect(), dirs) {
        (Some(nodes), _) => Ok(nodes),
        (None, [dir]) => Ok(vec![Node::create(home, dir, Port::Free)?]),
        (None, _) => Node::create_cluster(&home, dirs),
    }
}

/// A broker that has been started and may not serve yet.
struct Start {
    server: Child,
    log: PathBuf,
    /// How often it had come to serve before: earlier starts have written to the same log.
    before: usize,
}

// === impl Start ===

impl Start {
    fn launch(node: &Node, dir: &Path) -> Outcome<Self> {
        let log = dir.join("broker.log");
        let open = || OpenOptions::new().create(true).append(true).open(&log);
        let (out, err) = open()
            .and_then(|out| Ok((out, open()?)))
            .map_err(|error| Failure::file("open", &log, error))?;
        let before = process::read_lossy(&log).matches(READY).count();
        let mut command = node.detached_server()?;
        command.stdin(Stdio::null()).stdout(out).stderr(err);
        let server = command
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start Kafka: {error}")))?;
        let note = pid_file(dir);
        fs::write(&note, server.id().to_string())
            .map_err(|error| Failure::file("write", &note, error))?;
        Ok(Self {
            server,
            log,
            before,
        })
    }

    /// Gives the process's number once clients can work with it.
    fn wait_ready(mut self) -> Outcome<u32> {
        let ready = time::wait_for("Kafka starts", START_LIMIT, || {
            if process::read_lossy(&self.log).matches(READY).count() > self.before {
                return Ok(Some(()));
            }
            match self.server.try_wait() {
                Ok(Some(status)) => {
                    Err(Failure::new(format!("Kafka ended at its start, {status}")))
                }
                _ => Ok(None),
            }
        });
        if let Err(failure) = ready {
            // Gone already, or too slow to be of use.
            let _ = self.server.kill();
            let _ = self.server.wait();
            return Err(process::with_tail(failure, &self.log));
        }
        Ok(self.server.id())
    }
}

fn end(dir: &Path, signal: Signal, limit: Duration) -> Outcome<()> {
    let dir = dir
        .canonicalize()
        .map_err(|error| Failure::file("find", dir, error))?;
    // No broker is what was wanted, so that clean-up code can always call this.
    let Some(pid) = running(&dir) else {
        return Ok(());
    };
    kill(pid, signal)?;
    let gone = || Ok(running(&dir).is_none().then_some(()));
    time::wait_for(
        &format!("the broker in {} ends", dir.display()),
        limit,
        gone,
    )?;
    let note = pid_file(&dir);
    fs::remove_file(&note).map_err(|error| Failure::file("remove", &note, error))
}

fn send(dir: &Path, signal: Signal) -> Outcome<()> {
    let dir = dir
        .canonicalize()
        .map_err(|error| Failure::file("find", dir, error))?;
    let pid = running(&dir)
        .ok_or_else(|| Failure::new(format!("no broker runs in {}", dir.display())))?;
    Ok(kill(pid, signal)?)
}

/// The broker's process, if the noted one still is this broker: numbers are used again.
fn running(dir: &Path) -> Option<Pid> {
    let pid: i32 = process::read_lossy(&pid_file(dir)).trim().parse().ok()?;
    // Empty for a zombie, which is as good as gone.
    let command = process::read_lossy(Path::new(&format!("/proc/{pid}/cmdline")));
    let settings = dir.join("server.properties").display().to_string();
    command
        .split('\0')
        .any(|word| word == settings)
        .then(|| Pid::from_raw(pid))
}

fn pid_file(dir: &Path) -> PathBuf {
    dir.join("broker.pid")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_a_cluster_is_named_by_its_number() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let args = |node| KafkaNodeArgs {
            dir: dir.path().to_owned(),
            nodes: 1,
            node,
            home: None,
            verb: Verb::Stop,
        };
        let meant = |node| chosen(&args(node), folders(dir.path()));
        assert_eq!(meant(None).ok(), Some(vec![dir.path().to_owned()]));
        for name in ["node-1", "node-2"] {
            fs::create_dir(dir.path().join(name)).expect("writable");
        }
        assert_eq!(meant(None).map(|all| all.len()).ok(), Some(2));
        assert_eq!(meant(Some(2)).ok(), Some(vec![dir.path().join("node-2")]));
        assert!(meant(Some(3)).is_err() && meant(Some(0)).is_err());
    }

    #[test]
    fn a_number_that_belongs_to_somebody_else_is_no_broker() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        assert!(running(dir.path()).is_none());
        fs::write(pid_file(dir.path()), std::process::id().to_string()).expect("writable");
        assert!(running(dir.path()).is_none());
        assert!(
            end(dir.path(), Signal::SIGKILL, KILL_LIMIT).is_ok(),
            "ending nothing failed"
        );
        assert!(
            send(dir.path(), Signal::SIGCONT).is_err(),
            "nothing was resumed"
        );
    }
}
