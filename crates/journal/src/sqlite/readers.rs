//! A pool of read-only connections, each used by one call at a time.

use std::path::Path;
use std::sync::{Arc, Mutex};

use rusqlite::Connection;
use tokio::sync::Semaphore;
use tripline_model::lock;

use super::schema;
use super::shared::call_error;
use crate::{JournalError, OpenError};

/// The connections. Callers wait while all are used.
#[derive(Clone)]
pub(super) struct Readers {
    free: Arc<Mutex<Vec<Connection>>>,
    permits: Arc<Semaphore>,
    /// Whether reads run on blocking threads instead of the caller's.
    threads: bool,
}

// === impl Readers ===

impl Readers {
    /// Opens `count` connections.
    pub(super) fn open(path: &Path, count: usize, threads: bool) -> Result<Self, OpenError> {
        let connections = (0..count).map(|_| schema::open_reader(path));
        let free = connections.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            permits: Arc::new(Semaphore::new(free.len())),
            free: Arc::new(Mutex::new(free)),
            threads,
        })
    }

    /// Runs `ask` on a free connection.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, JournalError> {
        let closed = || JournalError::Unavailable("the journal is closed".to_owned());
        let permit = Arc::clone(&self.permits).acquire_owned().await;
        let permit = permit.map_err(|_| closed())?;
        let free = Arc::clone(&self.free);
        let read = move || {
            let connection = lock(&free).pop();
            let connection = connection.expect("a permit stands for a connection");
            let found = ask(&connection);
            lock(&free).push(connection);
            drop(permit);
            found
        };
        let found = if self.threads {
            let read = tokio::task::spawn_blocking(read).await;
            read.map_err(|error| JournalError::Unavailable(error.to_string()))?
        } else {
            read()
        };
        found.map_err(|error| call_error(&error))
    }

    /// Closes the connections: later reads are `Unavailable`.
    pub(super) fn close(&self) {
        self.permits.close();
        lock(&self.free).clear();
    }
}
