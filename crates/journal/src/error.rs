//! Why something could not be kept or read.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use tripline_model::{Execution, FunctionName, IllegalTransition, RequestId};

/// Why the journal did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The disk is full. Nothing of the call was stored; ends can still be recorded.
    #[error("the disk is full")]
    Full,
    /// A write or an fsync failed. What the call asked for may or may not be stored, and this journal takes no more
    /// writes until the hub is restarted.
    #[error("the journal takes no more writes: {0}")]
    Poisoned(String),
    /// The journal could not be used. Nothing of the call was stored.
    #[error("the journal is not available: {0}")]
    Unavailable(String),
    /// The invocation is in a state that does not allow this. Nothing was stored.
    #[error(transparent)]
    Illegal(#[from] IllegalTransition),
    /// There is no such invocation.
    #[error("there is no invocation {0}")]
    NotFound(RequestId),
    /// What there is of this invocation is not what was written. Nothing was stored.
    #[error(
        "the record of {0} is not what was written; `tripline journal check` names all that are not"
    )]
    Damaged(RequestId),
    /// An invocation of this id was accepted before. Nothing of the call was stored.
    #[error("the RequestId {0} was used before")]
    Duplicate(RequestId),
    /// A function's execution mode is not the one it was created with. Nothing was stored.
    #[error(
        "the function `{function}` was created with execution `{}` and cannot become `{}`",
        .locked.as_str(), .wanted.as_str()
    )]
    ExecutionLocked {
        /// The function.
        function: FunctionName,
        /// The mode it was created with.
        locked: Execution,
        /// The mode that was asked for.
        wanted: Execution,
    },
}

/// Why a data directory could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process uses the directory.
    #[error("{} is in use by the process {pid}", .dir.display())]
    Locked {
        /// The data directory.
        dir: PathBuf,
        /// The pid of the process that holds the lock; 0 if it is not known.
        pid: u32,
    },
    /// The file was written by a newer version.
    #[error("{} has schema version {found}; this version knows up to {known}", .path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// The version it has.
        found: i64,
        /// The newest version known here.
        known: i64,
    },
    /// The file is not one of ours, or is damaged.
    #[error("{} cannot be used: {reason}", .path.display())]
    Unusable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Something is lost that callers were told is kept. A hub that went on could run again what has run.
    #[error(
        "{} is damaged: {what}; lost: {lost}; to go on: {mend} (`tripline journal check {}` looks at the rest)",
        .path.display(), folder(.path)
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
        /// What is lost.
        lost: String,
        /// What to do.
        mend: String,
    },
    /// It is a copy of a journal. If a hub went on with the original, what waits here may have run since.
    #[error(
        "{} was copied from another place, and a hub that went on there may have run what waits here; \
         {}", .path.display(), how_to_adopt(.path)
    )]
    Copied {
        /// The file.
        path: PathBuf,
    },
    /// No hub has ever used the directory.
    #[error("{} has no journal: name the data directory", .dir.display())]
    NoJournal {
        /// The directory.
        dir: PathBuf,
    },
    /// The operating system refused.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: std::io::Error,
    },
}

// === impl OpenError ===

impl OpenError {
    /// What to do, if the message does not say that.
    pub fn help(&self) -> Option<String> {
        let help = match self {
            Self::Newer { .. } => {
                "start the newer tripline, or put back the backup from before the upgrade".to_owned()
            }
            Self::Locked { .. } => {
                "stop what uses it, or name another directory as `data_dir`".to_owned()
            }
            Self::Unusable { path, .. } => {
                let dir = folder(path);
                format!("`tripline journal check {dir}` says what is left, and how to go on")
            }
            Self::Io { source, .. } => match source.kind() {
                ErrorKind::PermissionDenied => {
                    "the data directory must be the hub's own: make its user the owner (`chown -R`), or name another as \
                     `data_dir`"
                }
                ErrorKind::ReadOnlyFilesystem => {
                    "the hub has to write there: mount it writable, or name another directory as `data_dir`"
                }
                ErrorKind::AlreadyExists | ErrorKind::NotADirectory => {
                    "a file is where the data directory should be: name another as `data_dir`"
                }
                ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                    "make room there, or name a directory on another disk as `data_dir`"
                }
                _ => return None,
            }
            .to_owned(),
            Self::Damaged { .. } | Self::Copied { .. } | Self::NoJournal { .. } => return None,
        };
        Some(help)
    }
}

/// The data directory that a file lies in, as it is named on a command line.
fn folder(file: &Path) -> std::path::Display<'_> {
    file.parent().unwrap_or(Path::new(".")).display()
}

/// How to make the copy at `path` the journal.
pub(crate) fn how_to_adopt(path: &Path) -> String {
    let dir = folder(path);
    format!(
        "`tripline journal adopt {dir} --old` makes it the journal, and runs nothing of what waits; with `--current`, if no \
         hub has used the original since, what waits is run"
    )
}

/// Why log lines could not be kept or read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The store is closed.
    #[error("the log store is closed")]
    Closed,
    /// A file could not be read or written.
    #[error("the log store failed: {0}")]
    Failed(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a hub that cannot open its data directory is told to do.
    #[test]
    fn what_cannot_be_opened_says_how_to_mend_it() {
        let io = |kind: ErrorKind| OpenError::Io {
            path: "/data".into(),
            source: kind.into(),
        };
        let unusable = OpenError::Unusable {
            path: "/data/journal.db".into(),
            reason: "file is not a database".to_owned(),
        };
        let locked = OpenError::Locked {
            dir: "/data".into(),
            pid: 7,
        };
        for (error, help) in [
            (io(ErrorKind::PermissionDenied), "chown"),
            (io(ErrorKind::ReadOnlyFilesystem), "mount it writable"),
            (io(ErrorKind::AlreadyExists), "a file is where"),
            (io(ErrorKind::NotADirectory), "a file is where"),
            (io(ErrorKind::StorageFull), "make room"),
            (unusable, "`tripline journal check /data`"),
            (locked, "stop what uses it"),
        ] {
            let found = error.help().unwrap_or_default();
            assert!(found.contains(help), "{error}: {found:?}");
        }
        assert_eq!(io(ErrorKind::TimedOut).help(), None, "nobody knows");
    }
}
