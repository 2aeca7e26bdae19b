//! Ending everything that belongs to a run: its process group by signal, and what left the group by the mark in its
//! environment.
//!
//! A process can leave its group (`setsid`), but it cannot change the environment it was started with, as the kernel
//! shows it in `/proc/PID/environ`, without effort. One that does (by `execve` with another environment, or by writing
//! over its own) is not found.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, geteuid, getpid};

/// Rounds of looking for leftovers: processes that fork while they are being killed need more than one.
const ROUNDS: u32 = 100;

/// Time for killed processes to disappear before the next round.
const PAUSE: Duration = Duration::from_millis(10);

/// Sends a signal to a whole group; that it is already empty is no error.
pub(super) fn signal_group(leader: Pid, signal: Signal) {
    let _ = killpg(leader, signal);
}

/// Kills every process of this user whose environment holds the variable `mark` (`NAME=value`), again until none is
/// left or the rounds are over. Says how many are left.
pub(super) async fn kill_marked(mark: &str) -> usize {
    let mut left = 0;
    for _ in 0..ROUNDS {
        let mark = mark.to_owned();
        let search = tokio::task::spawn_blocking(move || {
            let found = marked(mark.as_bytes());
            for pid in &found {
                let _ = kill(*pid, Signal::SIGKILL);
            }
            found.len()
        });
        left = search.await.unwrap_or(0);
        if left == 0 {
            break;
        }
        tokio::time::sleep(PAUSE).await;
    }
    left
}

/// The living processes of this user with the mark, but never this one.
pub(super) fn marked(mark: &[u8]) -> Vec<Pid> {
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    let (user, own) = (geteuid().as_raw(), getpid());
    entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?);
            let mine = pid != own && entry.metadata().ok()?.uid() == user;
            // A dead process that nobody has waited for yet has an empty environment: it is not found.
            let environ = std::fs::read(entry.path().join("environ")).ok()?;
            let found = mine && environ.split(|byte| *byte == 0).any(|line| line == mark);
            found.then_some(pid)
        })
        .collect()
}
