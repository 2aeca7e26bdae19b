//! What a process takes of its machine, from `/proc`.

use std::fs;

use crate::eventually;

/// Memory, files and threads of a process.
#[derive(Debug, Clone, Copy)]
pub struct Vitals {
    /// Memory in use, in KiB.
    pub rss_kib: u64,
    /// Open descriptors; 0 where they are hidden: a hub hides its own from all but root.
    pub files: usize,
    /// Threads.
    pub threads: u64,
}

/// How much more a process may have when it is back to where it was: buffers that are kept, and threads that are.
const SLACK: Vitals = Vitals {
    rss_kib: 64 * 1024,
    files: 8,
    threads: 24,
};

/// How much more it may have after the same load once more: what is kept is kept by then, and a leak comes again.
const NOISE: Vitals = Vitals {
    rss_kib: 6 * 1024,
    files: 4,
    threads: 4,
};

// === impl Vitals ===

impl Vitals {
    /// Of a running process.
    ///
    /// # Panics
    /// There is no such process, or it is hidden from this user.
    pub fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let number = |name: &str| -> u64 {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let first = line.and_then(|line| line.split_whitespace().next());
            first.and_then(|word| word.parse().ok()).unwrap_or(0)
        };
        let files = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        Self {
            rss_kib: number("VmRSS:"),
            files,
            threads: number("Threads:"),
        }
    }

    /// Whether it is no more than `most`, in each part.
    pub fn is_within(self, most: Self) -> bool {
        self.rss_kib <= most.rss_kib && self.files <= most.files && self.threads <= most.threads
    }

    /// Waits until the process takes no more than it did, but for a little.
    pub async fn come_back(self, pid: u32) {
        self.come_within(SLACK, pid).await;
    }

    /// Waits until a process takes no more than it did after the same load before.
    pub async fn stay(self, pid: u32) {
        self.come_within(NOISE, pid).await;
    }

    async fn come_within(self, more: Self, pid: u32) {
        let most = Self {
            rss_kib: self.rss_kib + more.rss_kib,
            files: self.files + more.files,
            threads: self.threads + more.threads,
        };
        eventually(
            &format!("{pid} takes no more than {self:?} and {more:?}"),
            async || Self::of(pid).is_within(most).then_some(()),
        )
        .await;
    }
}
