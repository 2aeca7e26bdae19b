//! What tests of several parts need.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Uid, geteuid};
use rustix::thread::set_thread_res_uid;
use tripline_model::LogStream;
use tripline_skipped::skipped;

use crate::instance::{Line, Output};

/// How long anything may take before it counts as stuck.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_secs(60);

/// Keeps lines in memory.
#[derive(Default)]
pub(crate) struct Recorded(pub(crate) Mutex<Vec<(LogStream, Line)>>);

#[async_trait]
impl Output for Recorded {
    async fn lines(&self, stream: LogStream, lines: Vec<Line>) {
        let lines = lines.into_iter().map(|line| (stream, line));
        self.0.lock().unwrap().extend(lines);
    }

    fn cut(&self, why: &str) {
        panic!("cut: {why}");
    }
}

// === impl Recorded ===

impl Recorded {
    /// Texts of all lines.
    pub(crate) fn texts(&self) -> Vec<String> {
        self.texts_where(|_| true)
    }

    /// Texts of the lines of a stream.
    pub(crate) fn texts_of(&self, stream: LogStream) -> Vec<String> {
        self.texts_where(|from| from == stream)
    }

    /// Waits until this line was written.
    pub(crate) async fn wait_for(&self, text: &str) {
        eventually(text, || self.texts().iter().any(|line| line == text)).await;
    }

    fn texts_where(&self, is_wanted: impl Fn(LogStream) -> bool) -> Vec<String> {
        let lines = self.0.lock().unwrap();
        let wanted = lines.iter().filter(|(stream, _)| is_wanted(*stream));
        wanted
            .map(|(_, line)| String::from_utf8_lossy(&line.text).into_owned())
            .collect()
    }
}

/// Waits until something holds.
pub(crate) async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let waiting = async {
        while !holds() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let waited = tokio::time::timeout(TEST_TIMEOUT, waiting).await;
    waited.unwrap_or_else(|_| panic!("waited in vain for {what}"));
}

/// The same for tests without a runtime.
pub(crate) fn eventually_blocking(what: &str, mut holds: impl FnMut() -> bool) {
    let pause = Duration::from_millis(5);
    for _ in 0..TEST_TIMEOUT.div_duration_f64(pause) as u32 {
        if holds() {
            return;
        }
        std::thread::sleep(pause);
    }
    panic!("waited in vain for {what}");
}

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
