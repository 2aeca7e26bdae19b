//! What groups bound and tell.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::sync::Mutex;

use rustix::process::{Signal, kill_process};
use tokio::time::Instant;
use tripline_model::lock;

use super::*;
use crate::isolation::groups::tree;
use crate::isolation::hierarchy::Controller;

/// An isolator that can bound this, or `None`, said aloud.
fn bounding(test: &str, site: &Site, controller: Controller) -> Option<Isolator> {
    let isolator = site.isolator();
    if isolator.pool.has(controller) {
        return Some(isolator);
    }
    isolator.close();
    skipped(test, &isolator.level().lines().join("; "));
    None
}

pub(super) fn soon() -> Instant {
    Instant::now() + Duration::from_millis(50)
}

pub(super) fn closed(site: &Site, isolator: &Isolator) {
    isolator.close();
    assert_eq!(site.left(), Vec::<PathBuf>::new());
}

/// `tail` keeps all that it gets, as it has no line ends.
fn eater(mebibytes: u32) -> String {
    format!("head -c {mebibytes}M /dev/zero | tail | wc -c")
}

#[test]
fn memory_over_the_limit_is_told() {
    let site = Site::new();
    let Some(isolator) = bounding("memory limit", &site, Controller::Memory) else {
        return;
    };
    let limits = Limits {
        memory_bytes: Some(32 << 20),
        ..Limits::default()
    };
    let groups = isolator.groups("eats too much", &limits).unwrap();
    in_groups(&groups, &eater(200)).wait().unwrap();
    assert!(groups.memory_exceeded());
    assert!(groups.peak_memory().unwrap() <= 32 << 20);
    eventually_blocking("empty", || groups.is_empty() == Some(true));
    groups.remove();

    let groups = isolator.groups("eats enough", &limits).unwrap();
    let output = in_groups(&groups, &eater(8)).wait_with_output().unwrap();
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("{}\n", 8 << 20)
    );
    assert!(!groups.memory_exceeded());
    groups.remove();
    closed(&site, &isolator);
}

#[test]
fn the_peak_is_told_without_a_limit() {
    let site = Site::new();
    let Some(isolator) = bounding("peak memory", &site, Controller::Memory) else {
        return;
    };
    let groups = isolator.groups("r", &Limits::default()).unwrap();
    in_groups(&groups, &eater(64)).wait().unwrap();
    let peak = groups.peak_memory().unwrap();
    assert!((64 << 20..96 << 20).contains(&peak), "{peak}");
    assert!(!groups.memory_exceeded());
    groups.remove();
    let groups = isolator.groups("r", &Limits::default()).unwrap();
    in_groups(&groups, "true").wait().unwrap();
    let peak = groups.peak_memory().unwrap();
    assert!(peak < 16 << 20, "{peak} is not of this run");
    groups.remove();
    closed(&site, &isolator);
}

#[test]
fn processes_are_bounded() {
    let site = Site::new();
    let Some(isolator) = bounding("process limit", &site, Controller::Pids) else {
        return;
    };
    let limits = Limits {
        pids: Some(4),
        ..Limits::default()
    };
    let groups = isolator.groups("r", &limits).unwrap();
    let script = "for i in 1 2 3 4 5 6 7 8 9; do sleep 4711.02 & done; wait";
    let mut child = in_groups(&groups, script);
    eventually_blocking("as many as may be", || running("sleep 4711.02") == 3);
    groups.kill_all();
    child.wait().unwrap();
    eventually_blocking("none is left", || running("sleep 4711.02") == 0);
    groups.remove();
    // The thread that starts it does not count.
    let one = Limits {
        pids: Some(1),
        ..Limits::default()
    };
    let groups = isolator.groups("r", &one).unwrap();
    assert!(in_groups(&groups, "exit 0").wait().unwrap().success());
    assert!(
        !in_groups(&groups, "exec sh -c 'sleep 0 & wait $!'")
            .wait()
            .unwrap()
            .success()
    );
    groups.remove();
    closed(&site, &isolator);
}

#[test]
fn processor_time_is_bounded() {
    let site = Site::new();
    let Some(isolator) = bounding("processor limit", &site, Controller::Cpu) else {
        return;
    };
    let limits = Limits {
        cpu_millis: Some(100),
        ..Limits::default()
    };
    let groups = isolator.groups("r", &limits).unwrap();
    let mut child = in_groups(&groups, "while :; do :; done");
    let folders: Vec<PathBuf> = groups.folders().map(|dir| dir.join("cpu.stat")).collect();
    let throttled = || {
        let texts = folders
            .iter()
            .filter_map(|file| fs::read_to_string(file).ok());
        let lines: Vec<String> = texts
            .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
            .collect();
        lines
            .iter()
            .any(|line| line.starts_with("nr_throttled ") && line != "nr_throttled 0")
    };
    eventually_blocking("held back", throttled);
    groups.kill_all();
    child.wait().unwrap();
    groups.remove();
    closed(&site, &isolator);
}

#[test]
fn groups_without_limits_are_used_again_and_those_with_limits_are_not() {
    let site = Site::new();
    let isolator = site.isolator();
    if isolator.pool.versions().is_empty() {
        return skipped("groups used again", &isolator.level().to_string());
    }
    let folders = |limits: &Limits| {
        let groups = isolator.groups("../../r", limits).unwrap();
        let mut child = in_groups(&groups, "sleep 0.1 & exit 0");
        child.wait().unwrap();
        eventually_blocking("empty", || groups.is_empty() == Some(true));
        let folders: Vec<PathBuf> = groups.folders().map(Path::to_owned).collect();
        groups.remove();
        folders
    };
    let limited = Limits {
        pids: Some(10),
        memory_bytes: Some(1 << 30),
        ..Limits::default()
    };
    let first = folders(&limited);
    assert!(first.iter().all(|dir| !dir.exists()), "{first:?}");
    let second = folders(&Limits::default());
    let third = folders(&Limits::default());
    if second.iter().all(|dir| dir.exists()) {
        assert_eq!(second, third);
    }
    assert!(
        second
            .iter()
            .all(|dir| dir.components().all(|part| part.as_os_str() != ".."))
    );
    closed(&site, &isolator);
}

#[test]
fn what_was_not_empty_is_removed_later() {
    let site = Site::new();
    let isolator = site.isolator();
    if isolator.pool.versions().is_empty() {
        return skipped("busy groups", &isolator.level().to_string());
    }
    let groups = isolator.groups("r", &Limits::default()).unwrap();
    let mut child = in_groups(&groups, "sleep 4711.04 & sleep 4711.04");
    drop(groups);
    child.wait().unwrap();
    eventually_blocking("killed", || running("sleep 4711.04") == 0);
    eventually_blocking("removed", || {
        isolator.close();
        site.left().is_empty()
    });
}

/// With no control groups, or those of v1.
#[test]
fn what_a_process_started_before_its_bounds_is_found() {
    for version in [None, Some(Version::V1)] {
        let site = Site::new();
        let some = hierarchy::find().into_iter();
        let some: Vec<_> = some.filter(|one| Some(one.version) == version).collect();
        let record = sweep::record(&site.executor);
        let pool = Arc::new(GroupPool::new(&site.id, &record, &some));
        if version.is_some() && pool.versions().is_empty() {
            skipped("early processes", "no control groups v1 can be made");
            continue;
        }
        let groups = Groups::new(&pool, "early", &Limits::default()).unwrap();
        let inside = groups.enter().unwrap();
        let script = "sleep 4711.06 & bash -c 'sleep 4711.06 & wait' & wait";
        let mut command = Command::new("bash");
        command.arg("-c").arg(script).env(MARK, mark());
        let mut child = command.spawn().unwrap();
        drop(inside);
        eventually_blocking("all are there", || running("sleep 4711.06") == 2);
        for thorough in [false, true] {
            let found = Mutex::new(BTreeSet::new());
            let find = |one: Pid| {
                let new = lock(&found).insert(one.as_raw_nonzero());
                assert!(new, "{one:?} twice");
                Err(io::Error::other("not bounded"))
            };
            // Who cannot be bounded keeps nothing from the others.
            let each = groups.each(pid(&child), thorough, soon(), find);
            assert_eq!(each.unwrap_err().to_string(), "not bounded");
            assert_eq!(lock(&found).len(), 4, "{version:?}");
        }
        for one in tree(pid(&child)) {
            kill_process(one, Signal::KILL).unwrap();
        }
        child.wait().unwrap();
        eventually_blocking("all are gone", || running("sleep 4711.06") == 0);
        groups.remove();
        pool.close();
    }
}

/// However many there are that never sleep.
#[test]
fn forks_under_way_are_waited_for_up_to_one_deadline() {
    let site = Site::new();
    let Some(pool) = site.pool(|_| true) else {
        return skipped("waits for forks", "no control group can be made");
    };
    let groups = Groups::new(&pool, "busy", &Limits::default()).unwrap();
    let script = "for i in $(seq 40); do while :; do :; done & done; echo there; wait";
    let mut child = in_groups(&groups, script);
    let mut there = [0; 6];
    let mut out = child.stdout.take().unwrap();
    io::Read::read_exact(&mut out, &mut there).unwrap();
    let before = Instant::now();
    let found = Cell::new(0);
    let find = |_one| {
        found.set(found.get() + 1);
        Ok(true)
    };
    groups.each(pid(&child), true, soon(), find).unwrap();
    let took = before.elapsed();
    groups.kill_all();
    child.wait().unwrap();
    assert_eq!(found.get(), 41);
    // Each of them alone may take 50 ms.
    assert!(took < Duration::from_secs(1), "{took:?}");
    eventually_blocking("empty", || groups.is_empty() == Some(true));
    groups.remove();
    pool.close();
}

/// The common case costs no look at other processes.
#[test]
fn a_process_that_is_alone_is_seen_to_be() {
    let site = Site::new();
    let isolator = site.isolator();
    let groups = isolator.groups("alone", &Limits::default()).unwrap();
    let inside = groups.enter().unwrap();
    if !(isolator.level().pids && groups.is_certain()) {
        return skipped("a process alone", &isolator.level().to_string());
    }
    let mut child = Command::new("sleep").arg("4711.07").spawn().unwrap();
    drop(inside);
    assert!(groups.is_single());
    let inside = groups.enter().unwrap();
    let mut other = Command::new("sleep").arg("4711.07").spawn().unwrap();
    drop(inside);
    assert!(!groups.is_single());
    for child in [&mut child, &mut other] {
        child.kill().unwrap();
        child.wait().unwrap();
    }
    groups.remove();
    closed(&site, &isolator);
}
