//! Tests of what is found on the machine.

use std::os::unix::fs::chown;

use tripline_skipped::skipped;

use super::*;

#[test]
fn root_is_told_that_it_sees_more_than_the_hub() {
    // Nobody else gets that far: what belongs to others is refused before.
    if !rustix::process::geteuid().is_root() {
        return skipped("doctor, the hub's folder seen by root", "this is not root");
    }
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(directory(dir.path()).verdict, Verdict::Good);
    chown(dir.path(), Some(65_534), None).unwrap();
    let found = directory(dir.path());
    assert_eq!(found.verdict, Verdict::Doubtful);
    assert!(found.what.contains("root's rights"), "{}", found.what);
    assert!(found.mend.contains("sudo -u '#65534'"), "{}", found.mend);
    // It does not hide what is worse.
    fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let found = directory(dir.path());
    assert_eq!(found.verdict, Verdict::Doubtful);
    assert!(found.what.contains("others can look"), "{}", found.what);
    assert!(found.mend.contains("chmod 700"), "{}", found.mend);
}

/// Never a bound of nothing: where there is no room for any journal, another disk is what helps.
#[test]
fn a_bound_for_the_journal_leaves_room_beside_it() {
    let mib = |count: u64| count << 20;
    for (room, words) in [
        (mib(24), "set `data_dir` to a disk with more room: 64 MiB"),
        (mib(64), "set `data_dir` to a disk with more room: 64 MiB"),
        (mib(164), "set `max_journal` in [hub] to 100 MiB or less"),
    ] {
        let finding = journal_in(room, mib(500));
        assert_eq!(finding.verdict, Verdict::Doubtful);
        assert!(finding.mend.starts_with(words), "{finding:?}");
    }
    assert_eq!(journal_in(mib(564), mib(500)).verdict, Verdict::Good);
}
