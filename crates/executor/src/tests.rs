//! What tests of several parts need.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_res_uid;
use tripline_skipped::skipped;

/// Whether tests can act as somebody else. If not, says that `what` was skipped.
pub(crate) fn is_root(what: &str) -> bool {
    let root = geteuid().is_root();
    if !root {
        skipped(what, "only root can act as another user");
    }
    root
}

/// Lets everybody do everything with a file or folder.
pub(crate) fn open_to_all(path: &Path) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o777)).unwrap();
}

/// Does something as `nobody`, on a thread of its own, because a thread alone changes its user.
pub(crate) fn as_nobody<T: Send>(act: impl FnOnce() -> T + Send) -> T {
    let nobody = nix::unistd::User::from_name("nobody").unwrap().unwrap();
    let nobody = Uid::from_raw(nobody.uid.as_raw());
    let act = || {
        set_thread_res_uid(nobody, nobody, nobody).unwrap();
        act()
    };
    std::thread::scope(|scope| scope.spawn(act).join().unwrap())
}
