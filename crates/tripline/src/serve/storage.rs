//! The storage of a hub: the journal and the function logs.

use std::path::Path;
use std::sync::Arc;

use tripline_journal::{JournalOptions, OpenError, SqliteJournal, SqliteLogStore};
use tripline_model::Clock;

use super::ServeError;

/// The journal and the logs of one data directory, which this process alone uses from now on.
pub(super) struct Storage {
    pub(super) journal: Arc<SqliteJournal>,
    pub(super) logs: Arc<SqliteLogStore>,
}

impl Storage {
    /// Opens or creates both, not on the async threads: a write-ahead log that a crash left may have to be recovered.
    pub(super) async fn open(data_dir: &Path, clock: Arc<dyn Clock>) -> Result<Self, ServeError> {
        let dir = data_dir.to_owned();
        let opening = tokio::task::spawn_blocking(move || -> Result<Self, OpenError> {
            let journal = SqliteJournal::open(&dir, JournalOptions::default(), Arc::clone(&clock))?;
            let logs = SqliteLogStore::open(&dir.join("logs"))?;
            Ok(Self {
                journal: Arc::new(journal),
                logs: Arc::new(logs),
            })
        });
        let failed = |error: tokio::task::JoinError| ServeError::Io {
            what: "opening the data directory".to_owned(),
            source: std::io::Error::other(error),
        };
        Ok(opening.await.map_err(failed)??)
    }
}
