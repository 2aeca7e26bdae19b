//! The thread that makes logs durable. Lines are on the disk about a second after they were written; neither the writer
//! nor its followers wait for that.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tripline_model::lock;

use super::day::Day;

/// How long written lines may be only in the page cache.
const MAX_SYNC_DELAY: Duration = Duration::from_secs(1);

/// The writer's handle, to tell the thread which files it wrote to. When dropped, it has them synced at once.
pub(super) struct Syncer {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    waiting: Mutex<Waiting>,
    changed: Condvar,
}

/// What the thread waits for.
#[derive(Default)]
struct Waiting {
    written: BTreeSet<Day>,
    closed: bool,
}

// === impl Syncer ===

impl Syncer {
    /// Starts the thread, for the files in `dir`.
    pub(super) fn start(dir: PathBuf) -> io::Result<Self> {
        let shared = Arc::<Shared>::default();
        let theirs = Arc::clone(&shared);
        let named = thread::Builder::new().name("log-sync".to_owned());
        let thread = Some(named.spawn(move || run(&dir, &theirs))?);
        Ok(Self { shared, thread })
    }

    /// A transaction was written to the file of this day.
    pub(super) fn written(&self, day: Day) {
        if self.shared.lock().written.insert(day) {
            self.shared.changed.notify_one();
        }
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.changed.notify_one();
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::warn!("the thread that syncs logs failed");
        }
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }

    /// Waits until something was written, then a little longer for more. Answers nothing when the handle is dropped.
    fn next(&self) -> BTreeSet<Day> {
        let nothing = |waiting: &mut Waiting| waiting.written.is_empty() && !waiting.closed;
        let waiting = self.changed.wait_while(self.lock(), nothing);
        let waiting = waiting.unwrap_or_else(PoisonError::into_inner);
        let more = |waiting: &mut Waiting| !waiting.closed;
        let waited = self
            .changed
            .wait_timeout_while(waiting, MAX_SYNC_DELAY, more);
        let (mut waiting, _) = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut waiting.written)
    }
}

fn run(dir: &Path, shared: &Shared) {
    let (mut known, mut failing) = (BTreeSet::new(), false);
    loop {
        let written = shared.next();
        if written.is_empty() {
            return;
        }
        for day in written {
            let path = day.path(dir);
            let synced = sync(&path, !known.contains(&day));
            match &synced {
                Ok(()) => _ = known.insert(day),
                // It was old, and is removed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) if !failing => {
                    tracing::warn!(path = %path.display(), %error, "a log cannot be synced: a power cut would lose lines");
                }
                Err(_) => {}
            }
            failing = synced.is_err();
        }
    }
}

/// Makes a day's file durable: its write-ahead log (WAL) and, while it `is_new`, its name and its first pages, too.
fn sync(path: &Path, is_new: bool) -> io::Result<()> {
    let mut wal = path.to_owned().into_os_string();
    wal.push("-wal");
    File::open(wal)?.sync_data()?;
    if is_new {
        File::open(path)?.sync_data()?;
        if let Some(dir) = path.parent() {
            File::open(dir)?.sync_all()?;
        }
    }
    Ok(())
}
