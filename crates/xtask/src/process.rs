//! Child processes with an owner: started through [`crate::child`], ended with their whole process
//! group when the owner goes, on success, failure, panic or Ctrl-C.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, IsTerminal};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::failure::{Failure, Outcome};
use crate::time::{self, Stopwatch};
use crate::{signals, sweep};

/// How many lines of a log are shown when its process fails.
const TAIL_LINES: usize = 30;

/// How long a watched command may take.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    /// In all; `None` for a command that a person ends.
    pub(crate) whole: Option<Duration>,
    /// From the first signal on.
    pub(crate) grace: Duration,
}

/// A child process that dies with this value.
pub(crate) struct Child {
    inner: std::process::Child,
    /// Whether it leads a process group of its own, which is then ended as a whole.
    leads_group: bool,
}

/// A child in a process group of its own, without input, whose output goes to a file.
pub(crate) struct Logged {
    child: Child,
    log: PathBuf,
}

// === impl Limits ===

impl Limits {
    /// For builds and tests: nobody may be watching when one of them hangs.
    pub(crate) const STEP: Self = Self {
        whole: Some(Duration::from_secs(3600)),
        grace: Duration::from_secs(10),
    };

    /// For commands that a person started and will end.
    pub(crate) const PERSON: Self = Self {
        whole: None,
        grace: Duration::from_secs(10),
    };
}

// === impl Child ===

impl Child {
    fn spawn(command: &mut Command, leads_group: bool) -> Outcome<Self> {
        if leads_group {
            command.process_group(0);
        }
        let inner = command
            .spawn()
            .map_err(|error| Failure::new(format!("cannot start a process: {error}")))?;
        sweep::own(inner.id().cast_signed());
        Ok(Self { inner, leads_group })
    }

    /// Its exit status, once it has ended.
    pub(crate) fn exited(&mut self) -> Outcome<Option<ExitStatus>> {
        self.inner
            .try_wait()
            .map_err(|error| Failure::new(format!("cannot wait for a process: {error}")))
    }

    fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(self.inner.id().cast_signed());
        // Fails only if nothing is left to receive it.
        let _ = if self.leads_group {
            killpg(pid, signal)
        } else {
            kill(pid, signal)
        };
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // Nothing here is worth a polite end: whatever a child wrote is thrown away with it. The
        // group is signalled even if its leader has ended, for those that the leader left behind.
        let running = matches!(self.inner.try_wait(), Ok(None));
        if running || self.leads_group {
            self.signal(Signal::SIGKILL);
        }
        let _ = self.inner.wait();
        sweep::disown(self.inner.id().cast_signed());
    }
}

// === impl Logged ===

impl Logged {
    pub(crate) fn spawn(command: &mut Command, log: &Path) -> Outcome<Self> {
        Self::spawn_reading(command, Path::new("/dev/null"), log)
    }

    /// The same, with a file as its input.
    pub(crate) fn spawn_reading(command: &mut Command, input: &Path, log: &Path) -> Outcome<Self> {
        let input = File::open(input).map_err(|error| Failure::file("open", input, error))?;
        let file = File::create(log).map_err(|error| Failure::file("create", log, error))?;
        let copy = file
            .try_clone()
            .map_err(|error| Failure::file("open", log, error))?;
        command.stdin(input).stdout(file).stderr(copy);
        Ok(Self {
            child: Child::spawn(command, true)?,
            log: log.to_owned(),
        })
    }

    /// The file with its output.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Waits until `ready` says so, given all that the child has written. The child ending first is
    /// a failure, shown with the end of its log.
    pub(crate) fn wait_ready(
        &mut self,
        what: &str,
        limit: Duration,
        ready: impl Fn(&str) -> bool,
    ) -> Outcome<()> {
        let log = self.log.clone();
        time::wait_for(what, limit, || {
            if ready(&read_lossy(&log)) {
                return Ok(Some(()));
            }
            match self.child.exited()? {
                Some(status) => Err(Failure::new(format!("{what}: the process ended, {status}"))),
                None => Ok(None),
            }
        })
        .map_err(|failure| with_tail(failure, &log))
    }

    /// Waits for the end; anything but success is a failure, shown with the end of the log.
    pub(crate) fn wait_success(mut self, what: &str, limit: Duration) -> Outcome<()> {
        time::wait_for(what, limit, || self.child.exited())
            .and_then(|status| match status.success() {
                true => Ok(()),
                false => Err(Failure::new(format!("{what}: {status}"))),
            })
            .map_err(|failure| with_tail(failure, &self.log))
    }
}

/// A command line for `program` that starts through [`crate::child`].
pub(crate) fn command(program: impl AsRef<OsStr>) -> Outcome<Command> {
    // On Linux this name goes on working when a build replaces the file we were started from.
    let own = Path::new("/proc/self/exe");
    let own = match own.exists() {
        true => own.to_owned(),
        false => env::current_exe().map_err(|error| Failure::file("find", own, error))?,
    };
    let mut command = Command::new(own);
    let parent = std::process::id().to_string();
    command
        .arg0("xtask")
        .args(["child", "--parent", &parent, "--"])
        .arg(program);
    Ok(command)
}

/// Runs a command that is watched: it keeps our terminal or pipes. Signals we receive are passed on
/// to it; past its limits it is killed.
pub(crate) fn run(command: &mut Command, limits: Limits) -> Outcome<ExitStatus> {
    // In a terminal it shares our group, so that Ctrl-C and Ctrl-Z reach it as people expect.
    let on_terminal = io::stdin().is_terminal();
    let mut child = Child::spawn(command, !on_terminal)?;
    let watch = Stopwatch::start();
    let mut passed_on = 0;
    let mut asked: Option<Stopwatch> = None;
    loop {
        if let Some(status) = child.exited()? {
            return Ok(status);
        }
        for signal in signals::received().into_iter().skip(passed_on) {
            passed_on += 1;
            asked.get_or_insert_with(Stopwatch::start);
            // The terminal has sent these to the whole group already; twice may mean "at once".
            if !(on_terminal && matches!(signal, Signal::SIGINT | Signal::SIGHUP)) {
                child.signal(signal);
            }
        }
        if asked.is_some_and(|since| since.elapsed() > limits.grace) {
            child.signal(Signal::SIGKILL);
        }
        if let Some(whole) = limits.whole.filter(|whole| watch.elapsed() > *whole) {
            // Dropping the child kills it.
            return Err(Failure::new(format!(
                "a command took longer than {}",
                time::text(whole)
            )));
        }
        time::tick();
    }
}

/// A status as our own exit code. Without a code it was ended by a signal: 1, "failed".
pub(crate) fn code(status: ExitStatus) -> u8 {
    status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .unwrap_or(1)
}

/// Where an executable of this name is on `PATH`.
pub(crate) fn on_path(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|file| {
            fs::metadata(file)
                .is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
        })
}

/// Where an executable is on `PATH`, or a failure that says that it is not.
pub(crate) fn require(name: &str) -> Outcome<PathBuf> {
    on_path(name).ok_or_else(|| Failure::new(format!("no {name} on PATH")))
}

/// A file's text so far; empty if it does not exist yet.
pub(crate) fn read_lossy(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).unwrap_or_default()).into_owned()
}

/// The failure with the end of the log that explains it; an interruption needs no explanation.
pub(crate) fn with_tail(failure: Failure, log: &Path) -> Failure {
    let Failure::Message(message) = failure else {
        return failure;
    };
    let text = read_lossy(log);
    let lines: Vec<&str> = text.lines().collect();
    let tail = lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n  | ");
    Failure::Message(format!("{message}\n  the end of its log:\n  | {tail}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_shows_the_last_thirty_lines() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let log = dir.path().join("log");
        let text: String = (1..=40).map(|line| format!("line {line}.\n")).collect();
        fs::write(&log, text).expect("writable");
        let Failure::Message(message) = with_tail(Failure::new("broke"), &log) else {
            panic!("the failure changed its kind")
        };
        assert!(message.starts_with("broke\n"), "{message}");
        assert!(
            message.contains("line 11.") && message.contains("line 40."),
            "{message}"
        );
        assert!(!message.contains("line 10."), "{message}");
    }

    #[test]
    fn path_is_searched_for_executables_only() {
        assert!(on_path("sh").is_some());
        assert!(on_path("no-such-program-anywhere").is_none());
    }

    #[test]
    fn dropping_a_child_ends_its_whole_group() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let note = dir.path().join("pid");
        let mut command = Command::new("sh");
        command
            .arg("-c")
            .arg("sleep 600 & echo $! > \"$0\"; wait")
            .arg(&note);
        let child = Child::spawn(&mut command, true).expect("sh starts");
        let grandchild = time::wait_for("the grandchild's number", Duration::from_secs(10), || {
            Ok(read_lossy(&note).trim().parse::<i32>().ok())
        })
        .expect("a number");
        drop(child);
        time::wait_for("the grandchild to be gone", Duration::from_secs(10), || {
            let stat = read_lossy(Path::new(&format!("/proc/{grandchild}/stat")));
            Ok((stat.is_empty() || stat.contains(") Z ")).then_some(()))
        })
        .expect("no process is left");
    }
}
