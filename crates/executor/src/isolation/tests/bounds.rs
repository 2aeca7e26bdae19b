//! Bounds by process, and who sets them.

use std::cell::Cell;
use std::io;

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, prlimit};

use super::groups::{closed, soon};
use super::*;
use crate::isolation::rlimits::{AsUser, Bounds, Raised, Setter};

fn rlimit(soft: u64, hard: u64) -> Rlimit {
    Rlimit {
        current: Some(soft),
        maximum: Some(hard),
    }
}

/// For functions that have no user of their own.
const NOBODY: AsUser<'static> = &|_pid, _resource, _bound| Err(Errno::PERM);

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
    eventually_blocking("it is there", || read(Path::new(&name)) == "sleep");
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
