//! The log store on SQLite: a file per day, one thread that writes, readers beside it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};

use async_trait::async_trait;
use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc, oneshot};
use tripline_model::{LogLine, RequestId, Timestamp, lock};

use super::day::{self, Day};
use super::followers::Followers;
use super::writer::{Command, Writer};
use crate::{LogError, LogStore, NewLine, OpenError};

/// The most bytes of lines that may wait to be written; further writers wait.
const BUFFER_BYTES: u32 = 16 << 20;
/// The most commands that may wait.
const MAX_QUEUED: usize = 1024;
/// The most reads at the same time, and the most connections that are kept open for later ones.
const MAX_READERS: usize = 4;
/// Bytes that a line takes in the buffer beside its text.
const LINE_BYTES: usize = 64;

/// The logs in a directory.
pub struct SqliteLogStore {
    followers: Arc<Followers>,
    queue: Mutex<Option<mpsc::Sender<Command>>>,
    buffer: Arc<Semaphore>,
    readers: Arc<Readers>,
    reading: Arc<Semaphore>,
    writer: Mutex<Option<JoinHandle<()>>>,
}

struct Readers {
    dir: PathBuf,
    idle: Mutex<Vec<(Day, Connection)>>,
}

// === impl SqliteLogStore ===

impl SqliteLogStore {
    /// Opens the logs in `dir`, which is created if need be. The caller must hold the journal's lock.
    pub fn open(dir: &Path) -> Result<Self, OpenError> {
        let failed = |source| OpenError::Io {
            path: dir.to_owned(),
            source,
        };
        let mut only_ours = DirBuilder::new();
        only_ours.recursive(true).mode(0o700);
        only_ours.create(dir).map_err(failed)?;
        let followers = Arc::new(Followers::default());
        let writer = Writer::new(dir.to_owned(), Arc::clone(&followers)).map_err(failed)?;
        let (sender, queue) = mpsc::channel(MAX_QUEUED);
        let named = thread::Builder::new().name("log-writer".to_owned());
        let writer = named.spawn(move || writer.run(queue)).map_err(failed)?;
        Ok(Self {
            followers,
            queue: Mutex::new(Some(sender)),
            buffer: Arc::new(Semaphore::new(BUFFER_BYTES as usize)),
            readers: Arc::new(Readers {
                dir: dir.to_owned(),
                idle: Mutex::new(Vec::new()),
            }),
            reading: Arc::new(Semaphore::new(MAX_READERS)),
            writer: Mutex::new(Some(writer)),
        })
    }

    /// Runs `ask` on the file with the log of `id`; `None` if there is no such file.
    async fn look<T: Send + 'static>(
        &self,
        id: RequestId,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<Option<T>, LogError> {
        let permit = Arc::clone(&self.reading).acquire_owned().await;
        let permit = permit.map_err(|_| LogError::Closed)?;
        let readers = Arc::clone(&self.readers);
        let asked = tokio::task::spawn_blocking(move || {
            let found = readers.ask(Day::of(id), ask);
            drop(permit);
            found
        });
        let found = asked.await.map_err(|e| LogError::Failed(e.to_string()))?;
        found.map_err(|error| LogError::Failed(error.to_string()))
    }

    async fn send(&self, command: Command) -> Result<(), LogError> {
        let queue = self.queue().ok_or(LogError::Closed)?;
        queue.send(command).await.map_err(|_| LogError::Closed)
    }

    fn queue(&self) -> Option<mpsc::Sender<Command>> {
        let queue = lock(&self.queue);
        queue.clone()
    }
}

#[async_trait]
impl LogStore for SqliteLogStore {
    async fn append(&self, lines: Vec<NewLine>) -> Result<(), LogError> {
        let bytes: usize = lines.iter().map(|line| line.text.len() + LINE_BYTES).sum();
        let permits = u32::try_from(bytes).unwrap_or(u32::MAX).min(BUFFER_BYTES);
        let room = Arc::clone(&self.buffer).acquire_many_owned(permits).await;
        let room = room.map_err(|_| LogError::Closed)?;
        self.send(Command::Lines(lines, room)).await
    }

    async fn read(
        &self,
        id: RequestId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<LogLine>, LogError> {
        self.look(id, move |file| day::read(file, id, after_seq, limit))
            .await
            .map(Option::unwrap_or_default)
    }

    async fn last_seq(&self, id: RequestId) -> Result<u64, LogError> {
        self.look(id, move |file| day::last_seq(file, id))
            .await
            .map(Option::unwrap_or_default)
    }

    async fn last_origin(&self, id: RequestId) -> Result<u64, LogError> {
        self.flush().await?;
        self.look(id, move |file| day::last_origin(file, id))
            .await
            .map(Option::unwrap_or_default)
    }

    async fn changed(&self, id: RequestId, after_seq: u64) {
        let mut follower = self.followers.follow(id);
        if matches!(self.read(id, after_seq, 1).await, Ok(lines) if lines.is_empty()) {
            follower.beyond(after_seq).await;
        }
    }

    async fn flush(&self) -> Result<(), LogError> {
        let (reply, done) = oneshot::channel();
        self.send(Command::Flush(reply)).await?;
        done.await.map_err(|_| LogError::Closed)
    }

    async fn purge(&self, before: Timestamp, spared: Option<RequestId>) -> Result<u64, LogError> {
        self.readers.forget();
        let (reply, done) = oneshot::channel();
        self.send(Command::Purge {
            before,
            spared,
            reply,
        })
        .await?;
        let removed = done.await.map_err(|_| LogError::Closed)?;
        // Reads may have kept a connection to a file that was just removed.
        self.readers.forget();
        removed
    }

    async fn close(&self) {
        drop(lock(&self.queue).take());
        let writer = lock(&self.writer).take();
        if let Some(writer) = writer {
            let _ = tokio::task::spawn_blocking(move || writer.join()).await;
        }
        self.reading.close();
        self.readers.forget();
        self.followers.close();
    }
}

// === impl Readers ===

impl Readers {
    fn ask<T>(
        &self,
        day: Day,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<Option<T>> {
        let Some(file) = self.take(day)? else {
            return Ok(None);
        };
        let found = ask(&file)?;
        let mut idle = self.lock();
        if idle.len() >= MAX_READERS {
            idle.remove(0);
        }
        idle.push((day, file));
        Ok(Some(found))
    }

    fn take(&self, day: Day) -> rusqlite::Result<Option<Connection>> {
        let mut idle = self.lock();
        if let Some(place) = idle.iter().position(|(of, _)| *of == day) {
            return Ok(Some(idle.swap_remove(place).1));
        }
        drop(idle);
        let path = day.path(&self.dir);
        if path.exists() {
            day::open_reader(&path)
        } else {
            Ok(None)
        }
    }

    fn forget(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Day, Connection)>> {
        lock(&self.idle)
    }
}
