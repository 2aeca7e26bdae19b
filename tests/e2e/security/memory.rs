//! The memory of the hub and of the executor is closed to others of the same user, and never lands in a file.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::SystemTime;

use nix::sys::signal::Signal;
use tripline_tests::{Hub, eventually, is_alive, processes_with, skipped};

const CONFIG: &str = r#"
[functions.wait]
command = ["sleep", "600"]
timeout = "20m"
"#;

/// Lets the kernel write as much of a process's memory as there is, when it dies of a signal.
fn allow_cores(pid: i32) -> bool {
    let mut command = Command::new("prlimit");
    command.args(["--core=unlimited:unlimited", &format!("--pid={pid}")]);
    let status = command.stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// Whether a process that hides nothing leaves its memory behind here; else there is nothing to be seen.
fn cores_are_written(hub: &Hub) -> bool {
    let mut command = Command::new("prlimit");
    command.args(["--core=unlimited:unlimited", "sh", "-c", "kill -ABRT $$"]);
    let folder = hub.path("cores");
    fs::create_dir(&folder).unwrap();
    let status = command.current_dir(folder).status();
    status.is_ok_and(|status| status.core_dumped())
}

/// The core files in a folder, and when each was written.
fn cores(folder: &Path) -> BTreeSet<(PathBuf, SystemTime)> {
    let paths = fs::read_dir(folder).unwrap().map(|one| one.unwrap().path());
    let is_core = |path: &PathBuf| path.is_file() && path.to_string_lossy().contains("/core");
    let written = |path: PathBuf| {
        (
            path.clone(),
            fs::metadata(path).unwrap().modified().unwrap(),
        )
    };
    paths.filter(is_core).map(written).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_memory_of_hub_and_executor_is_closed_to_their_own_user() {
    if !nix::unistd::geteuid().is_root() {
        return skipped("memory of a user's hub", "only root can start one");
    }
    let mut hub = Hub::prepare(CONFIG);
    hub.belong_to_nobody();
    hub.launch().await;
    let id = hub.invoke("wait", "").await;
    hub.running(&id).await;
    let user = fs::metadata(hub.path("")).unwrap().uid();
    let hub_pid = i32::try_from(hub.pid()).unwrap();
    for pid in [hub_pid, hub.executors()[0].pid] {
        let owner = |file: &str| fs::metadata(format!("/proc/{pid}{file}")).unwrap().uid();
        assert_eq!(owner(""), user, "it runs without rights");
        // Those of a process that hides nothing are its user's.
        for file in ["/environ", "/mem", "/maps", "/fd"] {
            assert_eq!(owner(file), 0, "{pid}{file}");
        }
    }
    let function = eventually("the function has begun", async || {
        processes_with(&id).first().copied()
    })
    .await;
    let shown = fs::metadata(format!("/proc/{function}/environ")).unwrap();
    assert_eq!(shown.uid(), user, "this can be told from what is hidden");
}

#[tokio::test(flavor = "multi_thread")]
async fn neither_hub_nor_executor_leaves_a_core_file() {
    let mut hub = Hub::start(CONFIG).await;
    if !cores_are_written(&hub) {
        return skipped("core files", "this machine writes none");
    }
    let id = hub.invoke("wait", "").await;
    hub.running(&id).await;
    let hub_pid = i32::try_from(hub.pid()).unwrap();
    let executor = hub.executors().remove(0);
    assert!(allow_cores(hub_pid), "a core of the hub would be written");
    let limits = fs::read_to_string(format!("/proc/{}/limits", executor.pid)).unwrap();
    let core = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max core file size"));
    let core: Vec<_> = core.unwrap().split_whitespace().collect();
    // With all that it starts: a function's memory holds secrets, too.
    assert_eq!(core, ["0", "0", "bytes"]);
    // That it hides its memory as well shows only where this may be undone.
    allow_cores(executor.pid);

    hub.signal(Signal::SIGABRT);
    let status = hub.exited().await;
    assert_eq!(status.signal(), Some(Signal::SIGABRT as i32));
    assert!(!status.core_dumped(), "{status}");

    let folder = fs::read_link(format!("/proc/{}/cwd", executor.pid)).unwrap();
    let before = cores(&folder);
    executor.signal(Signal::SIGABRT);
    eventually("the executor is gone", async || {
        (!is_alive(executor.pid)).then_some(())
    })
    .await;
    assert_eq!(cores(&folder), before);
}
