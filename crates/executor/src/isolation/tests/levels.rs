//! What is found on machines of all kinds, and how it is said.

use super::*;
use crate::isolation::hierarchy::{Controller, Version};
use crate::isolation::level::{Cgroup, Found};
use crate::isolation::{Level, delegation, level};

const HYBRID: &str = "\
31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime shared:3 - cgroup cgroup rw,memory
40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

#[test]
fn hierarchies_are_found_with_the_own_group() {
    let groups = "4:memory:/service/a\n3:cpu,cpuacct:/\n1:name=systemd:/s\n0::/user.slice/b\n";
    let found = hierarchy::parse(groups, HYBRID);
    let own: Vec<&Path> = found.iter().map(|one| one.own.as_path()).collect();
    let top = Path::new("/sys/fs/cgroup");
    assert_eq!(
        own,
        [
            top.join("cpu,cpuacct"),
            top.join("memory/service/a"),
            top.join("unified/user.slice/b")
        ]
    );
    assert_eq!(found[0].controllers, [Controller::Cpu]);
    assert_eq!(found[2].version, Version::V2);
}

#[test]
fn a_container_sees_its_own_part() {
    let mounts = "35 31 0:32 /docker/c1 /sys/fs/cgroup\\040here ro - cgroup2 cgroup rw\n";
    let found = hierarchy::parse("0::/docker/c1/app\n", mounts);
    assert_eq!(found[0].own, Path::new("/sys/fs/cgroup here/app"));
    assert_eq!(
        hierarchy::parse("0::/\n", mounts)[0].own,
        Path::new("/sys/fs/cgroup here")
    );
    assert!(hierarchy::parse("", mounts).is_empty());
    assert!(hierarchy::parse("0::/\n", "").is_empty());
}

/// A folder that looks like a control group v2 that was handed to a container.
fn delegated(dir: &Path, processes: &str) -> PathBuf {
    let base = dir.join("group");
    fs::create_dir(&base).unwrap();
    for (file, text) in [
        ("cgroup.type", "domain"),
        ("cgroup.controllers", "cpuset cpu io memory pids"),
        ("cgroup.subtree_control", ""),
        ("cgroup.procs", processes),
    ] {
        fs::write(base.join(file), text).unwrap();
    }
    base
}

#[test]
fn a_delegated_group_is_left_before_it_is_divided() {
    let dir = tempfile::tempdir().unwrap();
    let base = delegated(dir.path(), "4242\n");
    let ours = base.join("tripline-x");
    fs::create_dir(&ours).unwrap();
    assert_eq!(delegation::base(&base), base);
    delegation::enable(&base, &ours).unwrap();
    assert_eq!(read(&ours.join("executor/cgroup.procs")), "0");
    assert_eq!(read(&base.join("hub/cgroup.procs")), "4242");
    assert_eq!(
        read(&base.join("cgroup.subtree_control")),
        "+cpu +memory +pids"
    );
    assert_eq!(
        read(&ours.join("cgroup.subtree_control")),
        "+cpu +memory +pids"
    );
    // The next executor is started by a hub that was moved.
    assert_eq!(delegation::base(&base.join("hub")), base);
}

#[test]
fn a_group_that_was_not_delegated_is_not_divided() {
    let dir = tempfile::tempdir().unwrap();
    let base = delegated(dir.path(), "4242\n");
    let inner = base.join("session");
    fs::create_dir(&inner).unwrap();
    for file in ["cgroup.type", "cgroup.controllers", "cgroup.procs"] {
        fs::copy(base.join(file), inner.join(file)).unwrap();
    }
    if !rustix::process::geteuid().is_root() {
        return skipped(
            "not delegated",
            "folders of one's own count as delegated; run as root",
        );
    }
    let ours = inner.join("tripline-x");
    fs::create_dir(&ours).unwrap();
    assert_eq!(delegation::enable(&inner, &ours).unwrap(), []);
    assert!(!ours.join("executor").exists());
}

fn found(versions: &[Version], controllers: &[Controller]) -> Found {
    Found {
        versions: versions.to_vec(),
        controllers: controllers.to_vec(),
        why: "for a reason".to_owned(),
    }
}

#[test]
fn what_cannot_be_enforced_is_named() {
    let mut spec = Site::new().spec();
    let bare = Level::new(found(&[], &[]), None, None);
    let error = bare.check(&spec).unwrap_err();
    assert!(
        error.contains("certain end") && error.contains("data directory"),
        "{error}"
    );
    assert!(!error.contains("memory"), "it has no such limit: {error}");
    spec.limits.memory_bytes = Some(1);
    spec.limits.pids = Some(1);
    let error = bare.check(&spec).unwrap_err();
    assert!(
        error.contains("memory of a function") && error.contains("number of processes"),
        "{error}"
    );

    let kill_only = Level::new(found(&[Version::V2], &[]), Some(7), Some(Ok(())));
    let error = kill_only.check(&spec).unwrap_err();
    assert!(
        error.contains("memory") && !error.contains("certain end"),
        "{error}"
    );
    let full = Level::new(
        found(&[Version::V2], &Controller::ALL),
        Some(7),
        Some(Ok(())),
    );
    assert_eq!(full.check(&spec), Ok(()));
}

#[test]
fn signals_to_the_executor_are_said_to_be_open_where_landlock_would_close_them() {
    let spec = Site::new().spec();
    let level = |abi, filter| Level::new(found(&[Version::V2], &Controller::ALL), abi, filter);
    let refused = || Some(Err(std::io::Error::other("no seccomp here")));
    let open = level(Some(6), refused());
    assert!(!open.signal_filter);
    let error = open.check(&spec).unwrap_err();
    assert!(
        error.contains("the executor") && error.contains("no seccomp here"),
        "{error}"
    );
    assert!(level(Some(6), Some(Ok(()))).signal_filter);
    // All signals are open there, which is said already.
    let older = level(Some(5), None);
    assert!(!older.signal_filter);
    assert_eq!(older.check(&spec), Ok(()));
    let lines = older.lines();
    assert!(
        !lines.iter().any(|line| line.contains("the executor")),
        "{lines:?}"
    );
}

#[test]
fn the_level_is_said_with_reasons_and_remedies() {
    let bare = Level::new(found(&[], &[]), Some(5), None);
    assert_eq!(bare.cgroup, Cgroup::None);
    let lines = bare.lines();
    assert!(lines[0].starts_with("no control groups"), "{lines:?}");
    assert!(
        lines
            .iter()
            .any(|line| line.contains("for a reason") && line.contains("Delegate=yes")),
        "{lines:?}"
    );
    assert!(
        lines
            .iter()
            .any(|line| line.contains("older than version 6")),
        "{lines:?}"
    );
    let kind = |versions: &[Version], controllers: &[Controller]| {
        Level::new(found(versions, controllers), None, None).cgroup
    };
    assert_eq!(kind(&[Version::V2], &[]), Cgroup::KillOnly);
    assert_eq!(
        kind(&[Version::V2, Version::V1], &[Controller::Memory]),
        Cgroup::V1
    );
    assert_eq!(kind(&[Version::V2], &[Controller::Memory]), Cgroup::V2);
}

#[test]
fn the_probe_finds_what_an_executor_gets() {
    let site = Site::new();
    let isolator = site.isolator();
    let (probed, had) = (level(), isolator.level().clone());
    isolator.close();
    assert_eq!(
        (probed.memory, probed.pids, probed.cpu),
        (had.memory, had.pids, had.cpu)
    );
    assert_eq!(
        (probed.cgroup, probed.landlock_abi),
        (had.cgroup, had.landlock_abi)
    );
    assert!(site.left().is_empty());
}
