//! Tests with real processes on this machine. What it cannot do is said aloud.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::Duration;

use rustix::process::Pid;
use tempfile::TempDir;
use tripline_skipped::skipped;

use super::hierarchy::{self, Hierarchy, Version};
use super::pool::GroupPool;
use super::{Groups, Isolator, Ruleset, ruleset, sweep};
use crate::protocol::{FunctionSpec, Isolation, Kind, Limits};
use crate::tests::eventually_blocking;

mod bounds;
mod files;
mod groups;
mod levels;
mod signals;
mod trees;

const MARK: &str = "TRIPLINE_ISOLATION_TEST";

/// A data directory with what functions must not see, in a folder with what they may, and an executor's directory in it.
struct Site {
    _dir: TempDir,
    site: PathBuf,
    data: PathBuf,
    executor: PathBuf,
    id: String,
}

impl Site {
    /// Not in `/tmp`, which functions are to use.
    fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let dir = tempfile::tempdir_in("/var/tmp").unwrap();
        let site = fs::canonicalize(dir.path()).unwrap().join("site");
        let data = site.join("data");
        let executor = data.join("executors/e");
        for function in ["mine", "other"] {
            fs::create_dir_all(executor.join("scratch").join(function)).unwrap();
        }
        fs::write(site.join("program.sh"), "echo from the program\n").unwrap();
        fs::write(data.join("admin.token"), "secret").unwrap();
        fs::write(executor.join("scratch/other/theirs"), "secret").unwrap();
        Self {
            _dir: dir,
            site,
            data,
            executor,
            id: format!("test-{}-{number}", std::process::id()),
        }
    }

    fn scratch(&self) -> PathBuf {
        self.executor.join("scratch/mine")
    }

    fn isolator(&self) -> Isolator {
        Isolator::detect(&self.id, &self.executor, &self.data)
    }

    /// With only some of the hierarchies that there are; `None` when there is none of them.
    fn pool(&self, which: impl Fn(&Hierarchy) -> bool) -> Option<Arc<GroupPool>> {
        let some: Vec<Hierarchy> = hierarchy::find().into_iter().filter(which).collect();
        let pool = GroupPool::new(&self.id, &sweep::record(&self.executor), &some);
        (!pool.versions().is_empty()).then(|| Arc::new(pool))
    }

    fn spec(&self) -> FunctionSpec {
        FunctionSpec {
            name: "mine".to_owned(),
            kind: Kind::Process,
            command: vec!["true".to_owned()],
            env: Default::default(),
            working_dir: self.site.clone(),
            search_path: String::new(),
            user: None,
            limits: Limits::default(),
            isolation: Isolation::Required,
        }
    }

    /// The control groups on record that are still there.
    fn left(&self) -> Vec<PathBuf> {
        let record = fs::read_to_string(sweep::record(&self.executor)).unwrap_or_default();
        let paths = record.lines().map(PathBuf::from);
        paths.filter(|path| path.exists()).collect()
    }
}

impl Drop for Site {
    /// A failed test leaves nothing on the machine.
    fn drop(&mut self) {
        let _swept = sweep::sweep(&self.executor);
    }
}

impl Isolator {
    /// As on a machine that can enforce nothing.
    pub(crate) fn bare(executor_id: &str, executor_dir: &Path, data_dir: &Path) -> Self {
        Self::with(&[], None, executor_id, [executor_dir, data_dir])
    }

    /// As on a machine that has control groups v2 alone.
    pub(crate) fn with_v2(executor_id: &str, executor_dir: &Path, data_dir: &Path) -> Self {
        let mut hierarchies = hierarchy::find();
        hierarchies.retain(|one| one.version == Version::V2);
        let landlock_abi = ruleset::landlock_abi();
        Self::with(
            &hierarchies,
            landlock_abi,
            executor_id,
            [executor_dir, data_dir],
        )
    }
}

/// Runs a script within the rules, from a thread of its own as executors do.
fn within(rules: &Ruleset, site: &Site, script: &str) -> Output {
    let run = || {
        rules.restrict_this_thread().unwrap();
        shell(site, script).output().unwrap()
    };
    thread::scope(|scope| scope.spawn(run).join().unwrap())
}

/// The same script without rules, to see that it is the rules that matter.
fn without(site: &Site, script: &str) -> Output {
    shell(site, script).output().unwrap()
}

fn shell(site: &Site, script: &str) -> Command {
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).current_dir(&site.site);
    command
        .env("SCRATCH", site.scratch())
        .env("DATA", &site.data);
    command.env("EXECUTOR", std::process::id().to_string());
    command
}

/// Starts a script in its groups, as executors do. Its input ends when it is in for certain.
fn in_groups(groups: &Groups, script: &str) -> Child {
    let inside = groups.enter().unwrap();
    let mut command = Command::new("bash");
    command.arg("-c").arg(script).process_group(0);
    command.env(MARK, mark());
    command
        .stdin(Stdio::piped())
        .stderr(Stdio::null())
        .stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(inside);
    groups.add(pid(&child)).unwrap();
    drop(child.stdin.take());
    child
}

fn pid(child: &Child) -> Pid {
    Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap()
}

/// Marks the processes of this test run, so that another one at the same time counts its own.
fn mark() -> String {
    std::process::id().to_string()
}

/// Processes of this test run with these words as their command line. Each test has its own number to sleep.
fn running(words: &str) -> usize {
    let mark = format!("{MARK}={}", mark());
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let ours = processes.filter(|process| {
        let parts = |file| fs::read(process.path().join(file)).unwrap_or_default();
        let line = String::from_utf8_lossy(&parts("cmdline")).replace('\0', " ");
        line.trim() == words
            && parts("environ")
                .split(|byte| *byte == 0)
                .any(|one| one == mark.as_bytes())
    });
    ours.count()
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap().trim().to_owned()
}
