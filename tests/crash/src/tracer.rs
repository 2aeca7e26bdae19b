//! `strace` as the one who kills, lets a call fail, or makes it slow.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use nix::unistd::geteuid;
use tripline_tests::{eventually, processes_with};

/// The calls by which hub and executor tell each other something, or wake another thread.
pub(crate) const MESSAGES: &str = "write,writev,sendto,sendmsg";
/// The hub's threads that make them.
pub(crate) const HUB_SPEAKS: &str = "tokio-rt-worker";

/// Whether there is one.
pub(crate) fn is_there() -> bool {
    let asked = Command::new("strace")
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    asked.is_ok_and(|status| status.success())
}

/// Whether it may trace a hub that runs, which hides itself from all but root.
pub(crate) fn may_attach() -> bool {
    is_there() && geteuid().is_root()
}

/// A tracer of living threads. It lets go of them when it is dropped.
pub(crate) struct Tracer(Child);

/// What happens to calls, counted for each thread.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    /// The call of this number, from 1, is the last.
    Kill(usize),
    /// The call of this number fails, and does nothing.
    Fail(usize),
    /// Each begins so many milliseconds late.
    Delay(u64),
}

/// The arguments for such a fault of these calls.
fn inject(calls: &str, fault: Fault) -> [String; 4] {
    let fault = match fault {
        Fault::Kill(step) => format!("signal=SIGKILL:when={step}"),
        Fault::Fail(step) => format!("error=EIO:when={step}"),
        Fault::Delay(millis) => format!("delay_enter={}", millis * 1000),
    };
    [
        "-e".to_owned(),
        format!("trace={calls}"),
        "-e".to_owned(),
        format!("inject={calls}:{fault}"),
    ]
}

/// A command that runs `program` under a tracer, which is not its parent and writes to `output`.
pub(crate) fn under_tracer(program: &Path, calls: &str, (step, output): (usize, &Path)) -> Command {
    let mut command = Command::new("strace");
    command.args(["-D", "-f", "-qq", "-o"]).arg(output);
    command.args(inject(calls, Fault::Kill(step))).arg(program);
    command
}

/// Ends what traces into `output`: what it traced goes on by itself.
pub(crate) fn end_tracers(output: &Path) {
    let mark = output.display().to_string();
    processes_with(&mark)
        .into_iter()
        .for_each(crate::world::end);
}

/// The threads of a process whose name is `name`; all, if there is none.
pub(crate) fn threads(pid: u32, name: Option<&str>) -> Vec<u32> {
    let tasks = fs::read_dir(format!("/proc/{pid}/task"))
        .into_iter()
        .flatten();
    let ids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
    let is_meant = |id: &u32| {
        let found = fs::read_to_string(format!("/proc/{pid}/task/{id}/comm")).unwrap_or_default();
        name.is_none_or(|name| found.trim_end() == name)
    };
    ids.filter(is_meant).collect()
}

// === impl Tracer ===

impl Tracer {
    /// Traces these threads from now on.
    pub(crate) async fn attach(threads: &[u32], calls: &str, fault: Fault) -> Self {
        let mut command = Command::new("strace");
        command
            .args(["-qq", "-o", "/dev/null"])
            .args(inject(calls, fault));
        for thread in threads {
            command.args(["-p", &thread.to_string()]);
        }
        let tracer = command.stdin(Stdio::null()).stderr(Stdio::null()).spawn();
        let tracer = Self(tracer.expect("strace can be started"));
        eventually("every thread is traced", async || {
            threads.iter().all(is_traced_or_gone).then_some(())
        })
        .await;
        tracer
    }
}

fn is_traced_or_gone(thread: &u32) -> bool {
    let path = PathBuf::from(format!("/proc/{thread}/status"));
    let Ok(status) = fs::read_to_string(path) else {
        return true;
    };
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("TracerPid:"));
    line.is_some_and(|pid| pid.trim() != "0")
}

impl Drop for Tracer {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _status = self.0.wait();
    }
}
