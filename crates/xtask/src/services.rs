//! The real services of a test run: each is named by the environment, or started here, or skipped
//! with its reason.

mod checkers;
mod kafka;
mod kafka_home;
pub(crate) mod node;
mod python;
mod s3;
mod sts;
mod versitygw;
mod worker_clients;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::TempDir;

use crate::cli::ServicesArgs;
use crate::failure::{Failure, Outcome};
use crate::ports::Port;
use crate::process::{self, Limits, Logged};
use crate::{repo, signals, time};

pub(crate) use kafka_home::{KafkaHome, VERSION as KAFKA_VERSION};

/// How long a service that the environment names may take to accept a connection.
const NAMED_LIMIT: Duration = Duration::from_secs(5);

/// Characters of a log's last line that the summary shows.
const LAST_WORDS: usize = 200;

/// Names the file to which tests append a line for each case that they skip.
pub(crate) const SKIPS: &str = "TRIPLINE_TEST_SKIPS";

/// All services of one run; dropping it ends those that were started here and removes their data.
pub(crate) struct Services {
    /// Started here. Before `dir`, so that they end before their files go.
    running: Vec<Logged>,
    /// What tests get to know, by environment variable.
    variables: BTreeMap<&'static str, String>,
    states: Vec<State>,
    dir: TempDir,
}

/// Where the services listen that are started here.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    kafka: Port,
    s3: Port,
}

/// The outcome of one service.
struct State {
    service: &'static str,
    /// Where it is, or why it is not.
    text: String,
    skipped: bool,
}

/// `cargo xtask services`.
pub(crate) fn run(args: &ServicesArgs) -> Outcome<u8> {
    let services = Services::start(Ports::FREE)?;
    let [program, rest @ ..] = args.command.as_slice() else {
        print!("{}", services.exports());
        eprintln!("==> the services stay until Ctrl-C");
        loop {
            signals::check()?;
            time::tick();
        }
    };
    if args.print_env {
        print!("{}", services.exports());
    }
    let mut command = process::command(program)?;
    command.args(rest);
    services.run(&mut command, Limits::PERSON)
}

// === impl Ports ===

impl Ports {
    /// For tests.
    pub(crate) const FREE: Self = Self {
        kafka: Port::Free,
        s3: Port::Free,
    };
    /// For people: Kafka on 9092, S3 on 9000, as in the examples.
    pub(crate) const WELL_KNOWN: Self = Self {
        kafka: Port::WellKnown(9092),
        s3: Port::WellKnown(9000),
    };
}

// === impl Services ===

impl Services {
    /// Finds or starts each service in turn.
    pub(crate) fn start(ports: Ports) -> Outcome<Self> {
        let dir = tempfile::Builder::new()
            .prefix("tripline-services-")
            .tempdir()
            .map_err(|error| Failure::file("create a folder in", &env::temp_dir(), error))?;
        let mut services = Self {
            running: Vec::new(),
            variables: BTreeMap::new(),
            states: Vec::new(),
            dir,
        };
        let skips = services.skips_file();
        fs::write(&skips, "").map_err(|error| Failure::file("create", &skips, error))?;
        services.export(SKIPS, skips.display());
        kafka::provide(&mut services, ports.kafka)?;
        s3::provide(&mut services, ports.s3)?;
        s3::provide_minio(&mut services)?;
        sts::provide(&mut services)?;
        worker_clients::provide(&mut services)?;
        checkers::provide(&mut services)?;
        Ok(services)
    }

    /// Runs a command that knows the services, and passes its exit code on.
    pub(crate) fn run(&self, command: &mut Command, limits: Limits) -> Outcome<u8> {
        let status = process::run(command.envs(&self.variables), limits)?;
        signals::check()?;
        if !status.success() && !self.running.is_empty() {
            self.keep_logs()?;
        }
        Ok(process::code(status))
    }

    /// After a failure the servers' logs may hold its cause; the folder with their data goes.
    fn keep_logs(&self) -> Outcome<()> {
        let folder = repo::tools()?.join("logs");
        fs::create_dir_all(&folder).map_err(|error| Failure::file("create", &folder, error))?;
        for server in &self.running {
            let name = server.log().file_name().unwrap_or_default();
            fs::copy(server.log(), folder.join(name))
                .map_err(|error| Failure::file("copy", server.log(), error))?;
        }
        eprintln!("==> logs of the services: {}", folder.display());
        Ok(())
    }

    /// The variables as lines that a shell can read.
    fn exports(&self) -> String {
        let line = |(name, value): (&&str, &String)| {
            format!("export {name}='{}'\n", value.replace('\'', r"'\''"))
        };
        self.variables.iter().map(line).collect()
    }

    /// The value of a variable that tests get.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str)
    }

    /// The lines that tests have appended so far, and one for each service that is missing.
    pub(crate) fn skips(&self) -> Vec<String> {
        let services = self
            .states
            .iter()
            .filter(|state| state.skipped)
            .map(State::line);
        let tests = process::read_lossy(&self.skips_file());
        let tests = tests
            .lines()
            .filter(|line| !line.trim().is_empty())
            .map(str::to_owned);
        services.chain(tests).collect()
    }

    /// One line for each service: where it is, or why it is not.
    pub(crate) fn summary(&self) -> String {
        self.states
            .iter()
            .map(|state| format!("  {}\n", state.line()))
            .collect()
    }

    /// The S3 store's folder, if it was started here: a folder inside it is a bucket.
    pub(crate) fn buckets(&self) -> PathBuf {
        self.folder("s3-buckets")
    }

    fn skips_file(&self) -> PathBuf {
        self.folder("skips.txt")
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn export(&mut self, name: &'static str, value: impl ToString) {
        self.variables.insert(name, value.to_string());
    }

    /// Notes and announces that a service is there.
    fn have(&mut self, service: &'static str, text: String) {
        self.note(State {
            service,
            text,
            skipped: false,
        });
    }

    /// Notes and announces that a service cannot be had; an interruption is passed on.
    fn skip(&mut self, service: &'static str, failure: Failure) -> Outcome<()> {
        let Failure::Message(text) = failure else {
            return Err(failure);
        };
        // The rest, if any, is the end of a log: for now; the summary has its last words.
        let (_, log) = text.split_once('\n').unwrap_or((&text, ""));
        if !log.is_empty() {
            eprintln!("{log}");
        }
        self.note(State {
            service,
            text: in_one_line(&text),
            skipped: true,
        });
        Ok(())
    }

    fn note(&mut self, state: State) {
        eprintln!("==> {}", state.line());
        self.states.push(state);
    }
}

// === impl State ===

impl State {
    fn line(&self) -> String {
        match self.skipped {
            true => format!("SKIPPED: {}: {}", self.service, self.text),
            false => format!("{}: {}", self.service, self.text),
        }
    }
}

/// What went wrong, and the last words of its log.
fn in_one_line(text: &str) -> String {
    let mut lines = text.lines();
    let reason = lines.next().unwrap_or_default();
    let words = |line: &str| line.trim_start_matches([' ', '|']).trim_end().to_owned();
    match lines.map(words).rfind(|line| !line.is_empty()) {
        Some(last) => format!(
            "{reason}: {}",
            last.chars().take(LAST_WORDS).collect::<String>()
        ),
        None => reason.to_owned(),
    }
}

/// The value of an environment variable that names a service; empty is as good as absent.
fn named(variable: &str) -> Option<String> {
    env::var(variable).ok().filter(|value| !value.is_empty())
}

/// Fails unless somebody accepts connections at one of `host:port[,host:port…]`: a service that was
/// named but is not there is a mistake, never a reason to skip.
fn must_answer(variable: &str, addresses: &str) -> Outcome<()> {
    let answers = |address: &str| {
        let resolved = address.to_socket_addrs().into_iter().flatten();
        resolved
            .into_iter()
            .any(|to| TcpStream::connect_timeout(&to, NAMED_LIMIT).is_ok())
    };
    match addresses.split(',').any(answers) {
        true => Ok(()),
        false => Err(Failure::new(format!(
            "{variable} names {addresses}, but nothing answers there"
        ))),
    }
}

/// Runs a fetching or building step to its end, with its output in a file beside its result.
fn step(command: &mut Command, what: &str, log: &Path, limit: Duration) -> Outcome<()> {
    Logged::spawn(command, log)?.wait_success(what, limit)
}

/// A command line of an ordinary program.
fn program(name: impl AsRef<OsStr>) -> Outcome<Command> {
    process::command(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_skip_is_said_with_the_last_words_of_its_log() {
        let log = "installing x: exit status: 1\n  the end of its log:\n  | trying\n  | ERROR: none\n  | \n";
        let line = in_one_line(log);
        assert_eq!(line, "installing x: exit status: 1: ERROR: none");
        assert_eq!(in_one_line("no go here"), "no go here");
        let long = format!("broke\n{}", "é".repeat(500));
        assert_eq!(
            in_one_line(&long).chars().count(),
            "broke: ".len() + LAST_WORDS
        );
    }
}
