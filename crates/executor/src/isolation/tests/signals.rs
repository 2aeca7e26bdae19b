//! What functions can signal: what they started, and not the thread that started them.

use std::collections::BTreeSet;

use nix::libc;

use super::*;

const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/src/isolation/tests/signals.pl"
);

const REFUSED: &str = "Operation not permitted";
const UNKNOWN: &str = "Function not implemented";
const SENT: &str = "sent";

/// The rules of a site with the filter and without, where both can be had.
fn rules(test: &str, site: &Site) -> Option<[Ruleset; 2]> {
    let isolator = site.isolator();
    let level = isolator.level().clone();
    let spec = site.spec();
    let made = || isolator.ruleset(&spec, &site.scratch()).unwrap();
    let rules = [made(), made().with_signal_filter(false)];
    isolator.close();
    if !level.signal_filter {
        skipped(
            test,
            &format!("no filter, or nothing to be filtered: {level}"),
        );
        return None;
    }
    Some(rules)
}

/// What became of signals to all threads of this process, of which one has started the sender.
fn answers(rules: &Ruleset, site: &Site, way: &str) -> BTreeSet<String> {
    let done = within(rules, site, &format!("perl {SCRIPT} {way}"));
    assert!(done.status.success(), "{way}: {done:?}");
    let output = String::from_utf8(done.stdout).unwrap();
    output.lines().map(str::to_owned).collect()
}

fn has_perl() -> bool {
    Command::new("perl").arg("-v").output().is_ok()
}

#[test]
fn the_thread_that_started_a_process_gets_no_signal_from_it() {
    let site = Site::new();
    let test = "signals to the executor";
    let Some([rules, unfiltered]) = rules(test, &site) else {
        return;
    };
    if !has_perl() {
        return skipped(test, "no perl");
    }
    let ways = [
        ("first", libc::SYS_kill, REFUSED),
        ("high", libc::SYS_kill, REFUSED),
        ("first", libc::SYS_tkill, REFUSED),
        ("second", libc::SYS_tgkill, REFUSED),
        ("queue", libc::SYS_rt_sigqueueinfo, REFUSED),
        ("queue_second", libc::SYS_rt_tgsigqueueinfo, REFUSED),
        ("folder", libc::SYS_pidfd_send_signal, UNKNOWN),
        ("setown_ex", 0, REFUSED),
        ("ioctl", 0x8901, REFUSED),
        ("ioctl", 0x8902, REFUSED),
    ];
    for (way, number, answer) in ways {
        let way = format!("{way} {number}");
        // Otherwise it would not be the filter that matters.
        assert!(answers(&unfiltered, &site, &way).contains(SENT), "{way}");
        let answers = answers(&rules, &site, &way);
        assert_eq!(answers, BTreeSet::from([answer.to_owned()]), "{way}");
    }
    // These say nothing of who may be signalled, so that only the one thread is out of reach.
    for (way, number) in [("setown", 0), ("pidfd", libc::SYS_pidfd_open)] {
        let way = format!("{way} {number}");
        assert!(!answers(&unfiltered, &site, &way).contains(REFUSED));
        assert!(answers(&rules, &site, &way).contains(REFUSED), "{way}");
    }
}

#[test]
#[cfg(target_arch = "x86_64")]
fn other_kinds_of_programs_are_no_way_around() {
    let site = Site::new();
    let test = "signals from 32-bit programs";
    let Some([rules, unfiltered]) = rules(test, &site) else {
        return;
    };
    if !has_perl() {
        return skipped(test, "no perl");
    }
    // Hardly a kernel knows these numbers; the filter is asked before.
    let x32 = format!("first {}", libc::SYS_kill | 0x4000_0000);
    assert!(answers(&rules, &site, &x32).contains(REFUSED));
    let narrow = answers(&unfiltered, &site, "narrow 37");
    if !narrow.contains(SENT) {
        return skipped(test, &format!("{narrow:?}"));
    }
    let answers = answers(&rules, &site, "narrow 37");
    assert_eq!(answers, BTreeSet::from([REFUSED.to_owned()]));
}

#[test]
fn what_a_process_started_it_can_end() {
    let site = Site::new();
    let Some([rules, _]) = rules("signals to children", &site) else {
        return;
    };
    let scripts = [
        "timeout 0.1 sleep 9; test $? = 124",
        "sleep 9 & kill -9 $!; wait $!; test $? = 137",
        "set -m; sleep 9 | sleep 9 & kill -TERM -- -$(jobs -p); wait $!; test $? = 143",
    ];
    for script in scripts {
        let done = within(&rules, &site, script);
        assert!(done.status.success(), "{script}: {done:?}");
    }
    if !without(&site, "python3 -V").status.success() {
        return skipped("children of Python", "no python3");
    }
    let python = "\
import asyncio, os, signal, subprocess
child = subprocess.Popen(['sleep', '9'])
try:
    signal.pidfd_send_signal(os.pidfd_open(child.pid), 9)
    raise SystemExit('sent by descriptor')
except (AttributeError, OSError):
    child.kill()
assert child.wait() == -9
async def kill():
    child = await asyncio.create_subprocess_exec('sleep', '9')
    child.kill()
    assert await child.wait() == -9
asyncio.run(kill())
";
    let done = within(&rules, &site, &format!("python3 -c \"{python}\""));
    assert!(done.status.success(), "{done:?}");
}
