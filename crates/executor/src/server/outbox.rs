//! A run's backlog, shared by those who fill it and the connection that empties it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bytes::Bytes;
use tripline_model::{Clock, LogStream, RequestId};

use super::backlog::Backlog;
use super::end::SMALL;
use super::ready::Ready;
use crate::instance::{Line, Output};
use crate::protocol::{FromExecutor, Outcome, Start};

/// A run's backlog. Cheap to clone. Files are touched on threads that may block.
#[derive(Clone)]
pub(super) struct Outbox(Arc<Shared>);

struct Shared {
    run: RequestId,
    backlog: Mutex<Backlog>,
    ready: Arc<Ready>,
    clock: Arc<dyn Clock>,
}

// === impl Outbox ===

impl Outbox {
    pub(super) fn new(
        run: RequestId,
        start: &Start,
        spill: &Path,
        ready: Arc<Ready>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let name = run.to_string();
        let path = spill.join(&name);
        Self(Arc::new(Shared {
            run,
            backlog: Mutex::new(Backlog::new(name, start.max_log_bytes, path)),
            ready,
            clock,
        }))
    }

    /// Adds remarks.
    pub(super) fn remark(&self, remarks: &[String]) {
        if remarks.is_empty() {
            return;
        }
        let at = self.0.clock.now();
        let mut backlog = self.0.lock();
        for remark in remarks {
            backlog.push(at, LogStream::System, remark.as_bytes(), true);
        }
        drop(backlog);
        self.0.news();
    }

    /// Says how the run was over. `reclaimed`: nothing of it is alive.
    pub(super) async fn end(&self, outcome: Outcome, result: Bytes, reclaimed: bool) {
        let large = result.len() > SMALL;
        let end = move |backlog: &mut Backlog| backlog.end(outcome, result, reclaimed);
        self.on_disk_if(large, end).await;
        self.0.news();
    }

    /// Says that nothing of the run is alive any more.
    pub(super) fn reclaim(&self) {
        self.0.lock().reclaim();
        self.0.news();
    }

    /// The connection of number `listener` hears of the run from now on, and of its lines after `after`.
    pub(super) fn attach(&self, listener: u64, after: u64) {
        let mut backlog = self.0.lock();
        backlog.attach(listener, after);
        if backlog.has_news() {
            self.0.news();
        }
    }

    /// Nobody hears of the run from now on.
    pub(super) async fn detach(&self) {
        let writes = self.0.lock().detach_writes();
        self.on_disk_if(writes, Backlog::detach).await;
    }

    /// Drops the lines up to number `line`.
    pub(super) async fn keep(&self, line: u64) {
        let removes = self.0.lock().uses_disk();
        self.on_disk_if(removes, move |backlog| backlog.keep(line))
            .await;
        self.0.news();
    }

    /// Drops all but whether the run is reclaimed. False if the run is not over: then nothing is dropped.
    pub(super) async fn forget(&self) -> bool {
        let removes = self.0.lock().uses_disk();
        let forget = |backlog: &mut Backlog| {
            let over = backlog.is_over();
            if over {
                backlog.forget();
            }
            over
        };
        self.on_disk_if(removes, forget).await
    }

    /// Whether the run is over.
    pub(super) fn is_over(&self) -> bool {
        self.0.lock().is_over()
    }

    /// Whether nothing is to be said, now or later.
    pub(super) fn is_done(&self) -> bool {
        self.0.lock().is_done()
    }

    /// The next message to `listener`, if there is one that it may have now.
    pub(super) async fn next(&self, listener: u64) -> Option<(FromExecutor, Bytes)> {
        let reads = self.0.lock().next_reads();
        self.on_disk_if(reads, move |backlog| backlog.next(listener))
            .await
    }

    /// Works on the backlog: on a thread that may block, if files will be touched. If the caller then gives up waiting,
    /// the work is done all the same.
    async fn on_disk_if<T: Send + 'static>(
        &self,
        disk: bool,
        work: impl FnOnce(&mut Backlog) -> T + Send + 'static,
    ) -> T {
        if !disk {
            return work(&mut self.0.lock());
        }
        let shared = Arc::clone(&self.0);
        match tokio::task::spawn_blocking(move || work(&mut shared.lock())).await {
            Ok(done) => done,
            Err(failed) => match failed.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                // Only when the whole process ends.
                Err(_) => std::future::pending().await,
            },
        }
    }
}

#[async_trait]
impl Output for Outbox {
    async fn lines(&self, stream: LogStream, lines: Vec<Line>) {
        let at = self.0.clock.now();
        let bytes = lines.iter().map(|line| line.text.len()).sum();
        let push = move |backlog: &mut Backlog| {
            for line in &lines {
                backlog.push(at, stream, &line.text, line.complete);
            }
        };
        let writes = self.0.lock().push_writes(bytes);
        self.on_disk_if(writes, push).await;
        self.0.news();
    }

    fn takes_more(&self) -> bool {
        !self.0.lock().is_cut()
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        self.backlog.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn news(&self) {
        self.ready.mark(self.run);
    }
}
