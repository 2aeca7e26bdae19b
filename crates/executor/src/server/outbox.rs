//! A run's backlog, shared by those who fill it and the connection that empties it.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tripline_model::{Clock, LogStream, RequestId, lock};

use super::backlog::Backlog;
use super::ready::Ready;
use super::spill::SpillRequest;
use crate::instance::{Line, Output};
use crate::protocol::{FromExecutor, Outcome, Start};

/// A run's backlog. Cheap to clone. Nobody waits for a disk here but those who write lines that memory has no room for.
#[derive(Clone)]
pub(super) struct Outbox(Arc<Shared>);

struct Shared {
    run: RequestId,
    backlog: Mutex<Backlog>,
    /// There may be room in memory.
    room: Notify,
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
            room: Notify::new(),
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
        self.work(|backlog| {
            for remark in remarks {
                backlog.push(at, LogStream::System, remark.as_bytes(), true);
            }
        });
        self.0.news();
    }

    /// Sets how the run ended. `reclaimed`: nothing of it is alive.
    pub(super) fn end(&self, outcome: Outcome, result: &Bytes, reclaimed: bool) {
        self.work(|backlog| backlog.end(outcome, result, reclaimed));
        self.0.news();
    }

    /// Notes that nothing of the run is alive any more.
    pub(super) fn reclaim(&self) {
        self.0.lock().reclaim();
        self.0.news();
    }

    /// Subscribes the connection of number `subscriber` to the run, and to its lines after `after`.
    pub(super) fn attach(&self, subscriber: u64, after: u64) {
        let has_news = self.work(|backlog| {
            backlog.attach(subscriber, after);
            backlog.has_news()
        });
        if has_news {
            self.0.news();
        }
    }

    /// Nobody is subscribed to the run from now on.
    pub(super) fn detach(&self) {
        self.work(Backlog::detach);
    }

    /// Drops the lines up to number `line`.
    pub(super) fn keep(&self, line: u64) {
        self.work(|backlog| backlog.keep(line));
        self.0.room.notify_waiters();
        self.0.news();
    }

    /// Drops all but whether the run is reclaimed. False if the run is not over: then nothing is dropped.
    pub(super) fn forget(&self) -> bool {
        self.work(|backlog| {
            let over = backlog.is_over();
            if over {
                backlog.forget();
            }
            over
        })
    }

    /// Whether the run is over.
    pub(super) fn is_over(&self) -> bool {
        self.0.lock().is_over()
    }

    /// Whether nothing is to be sent, now or later.
    pub(super) fn is_done(&self) -> bool {
        self.0.lock().is_done()
    }

    /// The next message to `subscriber`, if there is one that it may have now. If it has to come from the disk first,
    /// the run is marked ready again.
    pub(super) fn next(&self, subscriber: u64) -> Option<(FromExecutor, Bytes)> {
        self.work(|backlog| backlog.next(subscriber))
    }

    /// Works on the backlog, and sees to what is then to be done on the disk.
    fn work<T>(&self, work: impl FnOnce(&mut Backlog) -> T) -> T {
        let mut backlog = self.0.lock();
        let done = work(&mut backlog);
        let request = backlog.next_spill_request();
        drop(backlog);
        if let Some(request) = request {
            let shared = Arc::clone(&self.0);
            // Only the end of the process waits for it: a disk may take its time.
            tokio::task::spawn_blocking(move || shared.run(request));
        }
        done
    }
}

#[async_trait]
impl Output for Outbox {
    async fn lines(&self, stream: LogStream, lines: Vec<Line>) {
        let at = self.0.clock.now();
        let mut lines = lines.iter().peekable();
        loop {
            let room = self.0.room.notified();
            self.work(|backlog| {
                while let Some(line) = lines.next_if(|line| backlog.has_room(line.text.len())) {
                    backlog.push(at, stream, &line.text, line.complete);
                }
            });
            self.0.news();
            if lines.peek().is_none() {
                return;
            }
            room.await;
        }
    }

    fn cut(&self, why: &str) {
        let at = self.0.clock.now();
        self.work(|backlog| backlog.cut(at, why));
        self.0.news();
    }

    fn takes_more(&self) -> bool {
        !self.0.lock().is_cut()
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Backlog> {
        lock(&self.backlog)
    }

    /// Does what is to be done on the disk, one thing after the other.
    fn run(&self, request: SpillRequest) {
        let mut next = Some(request);
        while let Some(request) = next {
            let back = request.run();
            let at = self.clock.now();
            let mut backlog = self.lock();
            backlog.spill_done(back, at);
            next = backlog.next_spill_request();
            drop(backlog);
            self.room.notify_waiters();
            self.news();
        }
    }

    fn news(&self) {
        self.ready.mark(self.run);
    }
}
