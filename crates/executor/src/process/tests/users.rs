//! Functions with the rights of another user. Only root can start them.

use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use tripline_skipped::skipped;

use rustix::thread::{CapabilitySet, capabilities, set_capabilities};

use super::super::account::Account;
use super::super::check_user;
use super::{Bench, credentials};
use crate::instance::StartError;
use crate::protocol::Limits;

const USER: &str = "nobody";

fn open(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)).unwrap();
}

fn is_root(what: &str) -> bool {
    let root = rustix::process::geteuid().is_root();
    if !root {
        skipped(what, "only root can start processes of other users");
    }
    root
}

#[tokio::test]
async fn it_has_the_users_rights_and_no_others() {
    if !is_root("functions with a user") {
        return;
    }
    let script = "id -un; id -G; grep -E '^(Uid|Gid|CapEff|CapPrm|NoNewPrivs)' /proc/self/status; \
                  echo x > $TRIPLINE_SCRATCH/x && cat $TRIPLINE_SCRATCH/x; \
                  grep -c AKIA1 $TRIPLINE_CREDENTIALS_FILE; cat hidden 2>/dev/null || echo no";
    let mut bench = Bench::script(script);
    bench.spec.user = Some(USER.to_owned());
    bench.start.credentials = Some(credentials(1));
    open(bench.dir.path());
    open(bench.data.path());
    let hidden = bench.dir.path().join("hidden");
    std::fs::write(&hidden, "secret").unwrap();
    std::fs::set_permissions(&hidden, PermissionsExt::from_mode(0o600)).unwrap();
    let user = nix::unistd::User::from_name(USER).unwrap().unwrap();
    let (uid, gid) = (user.uid, user.gid);
    for _again in 0..2 {
        let exit = bench.run().await;
        let text = String::from_utf8(exit.result.to_vec()).unwrap();
        let expected = format!(
            "{USER}\n{gid}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\n\
             CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nNoNewPrivs:\t1\nx\n1\nno\n"
        );
        assert_eq!(text, expected);
    }
}

#[tokio::test]
async fn a_data_directory_of_its_group_is_opened_for_passing_through() {
    if !is_root("a data directory of the user's group") {
        return;
    }
    let mut bench = Bench::script("echo mine > $TRIPLINE_SCRATCH/x && cat $TRIPLINE_SCRATCH/x");
    bench.spec.user = Some(USER.to_owned());
    open(bench.dir.path());
    open(bench.data.path());
    bench.surroundings();
    let user = nix::unistd::User::from_name(USER).unwrap().unwrap();
    chown(bench.data_dir(), None, Some(user.gid.as_raw())).unwrap();
    for _again in 0..2 {
        assert_eq!(bench.run().await.result, "mine\n");
    }
    let mode = bench.data_dir().metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o711);
}

#[tokio::test]
async fn a_closed_folder_on_the_way_is_named() {
    if !is_root("a closed folder on the way") {
        return;
    }
    let mut bench = Bench::script("echo ran > ran");
    bench.spec.user = Some(USER.to_owned());
    let closed = PermissionsExt::from_mode(0o700);
    std::fs::set_permissions(bench.data.path(), closed).unwrap();
    let error = bench.start().await.err().unwrap();
    assert!(matches!(error, StartError::Scratch(_)), "{error}");
    assert!(
        error
            .to_string()
            .contains(bench.data.path().to_str().unwrap()),
        "{error}"
    );
}

#[tokio::test]
async fn an_unknown_user_starts_nothing() {
    let mut bench = Bench::script("echo ran > ran");
    bench.spec.user = Some("no-such-user".to_owned());
    for _again in 0..2 {
        let error = bench.start().await.err().unwrap();
        assert_eq!(error.to_string(), "there is no user `no-such-user`");
    }
    assert!(!bench.scratch().exists());
    assert_eq!(
        check_user("no-such-user"),
        Err("there is no user `no-such-user`".to_owned())
    );
    if rustix::process::geteuid().is_root() {
        assert_eq!(check_user(USER), Ok(()));
    }
}

#[test]
fn root_without_the_rights_to_it_is_told_so_before_and_when_it_fails() {
    if !is_root("functions with a user") {
        return;
    }
    let (uid, gid) = (CapabilitySet::SETUID, CapabilitySet::SETGID);
    for (taken, lacks, call) in [
        (uid, "CAP_SETUID", "setresuid"),
        (gid, "CAP_SETGID", "setgroups"),
        (uid | gid, "CAP_SETUID and CAP_SETGID", "setgroups"),
    ] {
        // Each thread has its own.
        let thread = std::thread::spawn(move || {
            let mut sets = capabilities(None).unwrap();
            sets.effective -= taken;
            set_capabilities(None, sets).unwrap();
            let account = Account::find(USER).unwrap();
            let failed = account.take_groups().and_then(|()| account.act(|| ()));
            (check_user(USER), crate::level(), failed)
        });
        let (checked, level, failed) = thread.join().unwrap();
        let begin = format!("processes of the user `{USER}` cannot be started: ");
        let why = format!("Tripline runs as root without {lacks}");
        assert_eq!(checked, Err(format!("{begin}{why}")));
        assert!(!level.user_switch);
        assert!(level.missing.iter().any(|missing| missing.why == why));
        assert_eq!(
            failed.err().unwrap().to_string(),
            format!(
                "{begin}{call}: Operation not permitted (os error 1); \
                 it takes root with CAP_SETUID and CAP_SETGID"
            )
        );
    }
}

#[tokio::test]
async fn its_bounds_are_set_without_further_rights_of_root() {
    if !is_root("bounds of functions with a user") {
        return;
    }
    let script = "until [ -e go ]; do sleep 0.01; done; ulimit -Hn";
    // The bounds are set while the program is being loaded, which may take its time.
    for _again in 0..20 {
        let mut bench = Bench::script(script).with_limits(Limits {
            open_files: Some(17),
            ..Limits::default()
        });
        bench.spec.user = Some(USER.to_owned());
        open(bench.dir.path());
        open(bench.data.path());
        let run = bench.start().await.unwrap();
        std::fs::write(bench.dir.path().join("go"), "").unwrap();
        assert_eq!(run.end().await.result, "17\n");
    }
}
