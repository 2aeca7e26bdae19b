//! What groups bound and tell.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::io;
use std::sync::Mutex;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, Signal, kill_process, prlimit};
use tokio::time::Instant;

use super::*;
use crate::isolation::groups::tree;
use crate::isolation::hierarchy::Controller;
use crate::isolation::pool::locked;
use crate::isolation::rlimits::{AsUser, Bounds, Raised, Setter};

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

fn rlimit(soft: u64, hard: u64) -> Rlimit {
    Rlimit {
        current: Some(soft),
        maximum: Some(hard),
    }
}

/// For functions that have no user of their own.
const NOBODY: AsUser<'static> = &|_pid, _resource, _bound| Err(Errno::PERM);

fn soon() -> Instant {
    Instant::now() + Duration::from_millis(50)
}

fn set(bounds: &Bounds, pid: Pid, as_user: AsUser<'_>) -> io::Result<bool> {
    let deadline = soon();
    bounds.set(pid, &Setter { as_user, deadline })
}

/// Soft and hard, as the kernel says them.
fn bound_of(child: &Child, name: &str) -> [String; 2] {
    let text = read(Path::new(&format!("/proc/{}/limits", child.id())));
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let mut words = line.unwrap().split_whitespace();
    [(); 2].map(|()| words.next().unwrap().to_owned())
}

fn ended(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn closed(site: &Site, isolator: &Isolator) {
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
    eventually("empty", || groups.is_empty() == Some(true));
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
    eventually("as many as may be", || running("sleep 4711.02") == 3);
    groups.kill_all();
    child.wait().unwrap();
    eventually("none is left", || running("sleep 4711.02") == 0);
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
    eventually("held back", throttled);
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
        eventually("empty", || groups.is_empty() == Some(true));
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
    eventually("killed", || running("sleep 4711.04") == 0);
    eventually("removed", || {
        isolator.close();
        site.left().is_empty()
    });
}

#[test]
fn bounds_by_process_are_set() {
    let site = Site::new();
    let limits = Limits {
        open_files: Some(33),
        file_bytes: Some(4096),
        memory_bytes: Some(64 << 20),
        ..Limits::default()
    };
    let isolator = site.isolator();
    let mut child = Command::new("sleep").arg("4711.05").spawn().unwrap();
    let bounds = Bounds::new(&limits, true);
    assert!(set(&bounds, pid(&child), NOBODY).unwrap());
    let again = set(&bounds, pid(&child), NOBODY);
    assert!(!again.unwrap(), "they were set before");
    assert_eq!(bound_of(&child, "Max core file size"), ["0", "0"]);
    assert_eq!(bound_of(&child, "Max open files"), ["33", "33"]);
    assert_eq!(bound_of(&child, "Max file size"), ["4096", "4096"]);
    let data = ["67108864", "67108864"];
    assert_eq!(bound_of(&child, "Max data size"), data);
    child.kill().unwrap();
    let number = pid(&child);
    child.wait().unwrap();
    assert!(!set(&bounds, number, NOBODY).unwrap());
    closed(&site, &isolator);
}

/// A process that has this bound of open files.
fn with_files(soft: u64, hard: u64) -> Child {
    let child = Command::new("sleep").arg("4711.09").spawn().unwrap();
    let bound = rlimit(soft, hard);
    prlimit(Some(pid(&child)), Resource::Nofile, bound).unwrap();
    child
}

#[test]
fn tighter_bounds_of_its_own_stay() {
    let asked = |soft, hard| Bounds {
        asked: vec![(Resource::Nofile, "Max open files", rlimit(soft, hard))],
        raised: None,
        gives_back: false,
    };
    for (own, bound, changed, kept) in [
        ((33, 33), (64, 64), false, ["33", "33"]),
        ((33, 100), (64, 64), true, ["33", "64"]),
        ((100, 100), (64, 64), true, ["64", "64"]),
    ] {
        let child = with_files(own.0, own.1);
        let bounds = asked(bound.0, bound.1);
        assert_eq!(set(&bounds, pid(&child), NOBODY).unwrap(), changed);
        assert_eq!(bound_of(&child, "Max open files"), kept);
        ended(child);
    }
}

#[test]
fn what_the_executor_took_is_taken_back_from_who_inherited_it_alone() {
    let bounds = Bounds {
        asked: Vec::new(),
        raised: Some(Raised {
            given: rlimit(50, 100),
            own: rlimit(99, 100),
        }),
        gives_back: true,
    };
    for (own, changed, left) in [
        ((99, 100), true, ["50", "100"]),
        // As Node does at its start.
        ((100, 100), false, ["100", "100"]),
        ((20, 100), false, ["20", "100"]),
        ((20, 20), false, ["20", "20"]),
    ] {
        let child = with_files(own.0, own.1);
        assert_eq!(set(&bounds, pid(&child), NOBODY).unwrap(), changed);
        assert_eq!(bound_of(&child, "Max open files"), left);
        ended(child);
    }
    // Who asks for as many as there are gets them all.
    let all = Bounds {
        asked: vec![(Resource::Nofile, "Max open files", rlimit(100, 100))],
        gives_back: false,
        ..bounds
    };
    let child = with_files(99, 100);
    assert!(set(&all, pid(&child), NOBODY).unwrap());
    assert_eq!(bound_of(&child, "Max open files"), ["100", "100"]);
    ended(child);
}

/// Whoever sets a bound as the function's user can be killed by its processes meanwhile.
#[test]
fn the_users_rights_are_taken_where_ones_own_do_not_suffice() {
    let asked = Cell::new(0);
    let as_user: AsUser<'_> = &|_pid, _resource, bound| {
        asked.set(asked.get() + 1);
        Ok(bound)
    };
    let bounds = Bounds {
        asked: vec![(Resource::Nofile, "Max open files", rlimit(33, 33))],
        raised: None,
        gives_back: false,
    };
    let own = with_files(64, 64);
    assert!(set(&bounds, pid(&own), as_user).unwrap());
    assert_eq!(asked.get(), 0);
    ended(own);
    let (child, may) = match others_process(64) {
        Some(child) => child,
        None => return skipped("bounds of another user", "only root can start it"),
    };
    assert!(set(&bounds, pid(&child), as_user).unwrap());
    assert_eq!(asked.get() > 0, !may);
    ended(child);
}

/// A process of another user with this bound of open files, and whether this one may set it.
fn others_process(files: u64) -> Option<(Child, bool)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let script =
        format!("ulimit -n {files}; exec setpriv --reuid=65534 --clear-groups sleep 4711.08");
    let child = Command::new("sh").args(["-c", &script]).spawn().unwrap();
    let name = format!("/proc/{}/comm", child.id());
    eventually("it is there", || read(Path::new(&name)) == "sleep");
    let same = prlimit(Some(pid(&child)), Resource::Nofile, rlimit(files, files));
    Some((child, same.is_ok()))
}

#[test]
fn a_bound_that_was_not_asked_for_is_no_fault() {
    let Some((child, _may)) = others_process(64) else {
        return skipped("bounds of another user", "only root can start it");
    };
    let bounds = Bounds {
        asked: Vec::new(),
        raised: Some(Raised {
            given: rlimit(33, 64),
            own: rlimit(64, 64),
        }),
        gives_back: true,
    };
    set(&bounds, pid(&child), NOBODY).unwrap();
    ended(child);
}

#[test]
fn who_took_another_user_has_what_it_inherited() {
    let Some((child, may)) = others_process(33) else {
        return skipped("bounds of another user", "only root can start it");
    };
    let set = |open_files| {
        let limits = Limits {
            open_files: Some(open_files),
            ..Limits::default()
        };
        set(&Bounds::new(&limits, false), pid(&child), NOBODY)
    };
    assert!(!set(33).unwrap());
    // With the right to, it is set; without it, that is told.
    assert_eq!(set(32).is_ok_and(|changed| changed), may);
    ended(child);
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
        eventually("all are there", || running("sleep 4711.06") == 2);
        for thorough in [false, true] {
            let found = Mutex::new(BTreeSet::new());
            let find = |one: Pid| {
                let new = locked(&found).insert(one.as_raw_nonzero());
                assert!(new, "{one:?} twice");
                Err(io::Error::other("not bounded"))
            };
            // Who cannot be bounded keeps nothing from the others.
            let each = groups.each(pid(&child), thorough, soon(), find);
            assert_eq!(each.unwrap_err().to_string(), "not bounded");
            assert_eq!(locked(&found).len(), 4, "{version:?}");
        }
        for one in tree(pid(&child)) {
            kill_process(one, Signal::KILL).unwrap();
        }
        child.wait().unwrap();
        eventually("all are gone", || running("sleep 4711.06") == 0);
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
    eventually("empty", || groups.is_empty() == Some(true));
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
