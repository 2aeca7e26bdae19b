//! `xtask kafka-node`: a private Kafka broker in a folder, for tests that stop, kill and restart
//! it. The broker outlives this command; whoever started it ends it with `stop` or `kill`, and a
//! run of `cargo xtask test` ends what was forgotten.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Stdio;
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
    /// Folder with Kafka's jars in lib/ (default: the one that `cargo xtask services` fetches)
    #[arg(long, env = "TRIPLINE_TEST_KAFKA_HOME")]
    home: Option<PathBuf>,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Clone, Copy, Subcommand)]
enum Verb {
    /// Start it, wait until it serves, print BOOTSTRAP=, SASL_BOOTSTRAP= and PID= (same ports each time)
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
    match args.verb {
        Verb::Start => start(args)?,
        Verb::Stop => end(&args.dir, Signal::SIGTERM, STOP_LIMIT)?,
        Verb::Kill => end(&args.dir, Signal::SIGKILL, KILL_LIMIT)?,
        Verb::Pause => send(&args.dir, Signal::SIGSTOP)?,
        Verb::Resume => send(&args.dir, Signal::SIGCONT)?,
    }
    Ok(0)
}

fn start(args: &KafkaNodeArgs) -> Outcome<()> {
    fs::create_dir_all(&args.dir).map_err(|error| Failure::file("create", &args.dir, error))?;
    // The full path tells this broker's process from every other one.
    let dir = args
        .dir
        .canonicalize()
        .map_err(|error| Failure::file("find", &args.dir, error))?;
    if let Some(pid) = running(&dir) {
        return Err(Failure::new(format!(
            "the broker in {} runs already ({pid})",
            dir.display()
        )));
    }
    let home = match &args.home {
        Some(home) => KafkaHome::at(home)?,
        None => KafkaHome::installed()?,
    };
    let node = match Node::open(home.clone(), &dir) {
        Some(node) => node,
        None => Node::create(home, &dir, Port::Free)?,
    };
    let pid = launch(&node, &dir)?;
    println!(
        "BOOTSTRAP={}\nSASL_BOOTSTRAP={}",
        node.bootstrap()?,
        node.sasl_bootstrap()?
    );
    println!("PID={pid}");
    Ok(())
}

fn launch(node: &Node, dir: &Path) -> Outcome<u32> {
    let log = dir.join("broker.log");
    let open = || OpenOptions::new().create(true).append(true).open(&log);
    let (out, err) = open()
        .and_then(|out| Ok((out, open()?)))
        .map_err(|error| Failure::file("open", &log, error))?;
    // Earlier starts have written to the same log.
    let before = process::read_lossy(&log).matches(READY).count();
    let mut command = node.detached_server()?;
    command.stdin(Stdio::null()).stdout(out).stderr(err);
    let mut server = command
        .spawn()
        .map_err(|error| Failure::new(format!("cannot start Kafka: {error}")))?;
    let pid = server.id();
    let note = pid_file(dir);
    fs::write(&note, pid.to_string()).map_err(|error| Failure::file("write", &note, error))?;
    let ready = time::wait_for("Kafka starts", START_LIMIT, || {
        if process::read_lossy(&log).matches(READY).count() > before {
            return Ok(Some(()));
        }
        match server.try_wait() {
            Ok(Some(status)) => Err(Failure::new(format!("Kafka ended at its start, {status}"))),
            _ => Ok(None),
        }
    });
    if let Err(failure) = ready {
        // Gone already, or too slow to be of use.
        let _ = server.kill();
        let _ = server.wait();
        return Err(process::with_tail(failure, &log));
    }
    Ok(pid)
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
