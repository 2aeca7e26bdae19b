//! `tripline journal adopt`: makes a copy of a journal the journal.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tripline_journal::{
    Copied, Journal, JournalError, JournalOptions, OpenError, SqliteJournal, inspect,
};
use tripline_model::{Clock, OLD_COPY};

use crate::args::CopyAge;
use crate::cli::Exit;
use crate::clock::SystemClock;
use crate::journal::with_help;

/// Invocations that are ended in one transaction.
const STEP: usize = 500;

/// What was ended of an old copy.
struct Ended {
    cancelled: usize,
    lost: usize,
}

/// Why a journal could not be adopted.
#[derive(Debug, thiserror::Error)]
enum AdoptError {
    #[error("{}", with_help(.0))]
    Open(#[from] OpenError),
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error("{dir} is damaged: `tripline journal check {dir}` says what is lost", dir = .0.display())]
    Damaged(PathBuf),
    #[error("{} was not copied from another place: a hub takes it as it is", .0.display())]
    Original(PathBuf),
    #[error("no runtime: {0}")]
    Runtime(#[from] std::io::Error),
}

/// Adopts a copied journal, and prints how many open invocations were cancelled or lost.
pub(crate) fn adopt(
    dir: &Path,
    copy: &CopyAge,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> Exit {
    let written = match in_runtime(dir, copy) {
        Ok(ended) => {
            let dir = dir.display();
            let written = writeln!(out, "{dir} is the journal of the next hub that uses it");
            written.and_then(|()| match ended {
                None => Ok(()),
                Some(Ended { cancelled, lost }) => writeln!(
                    out,
                    "  {cancelled:>10}  waiting events cancelled, which may have run elsewhere\n  {lost:>10}  runs lost"
                ),
            })
        }
        Err(error) => {
            let exit = match error {
                AdoptError::Open(OpenError::Locked { .. } | OpenError::NoJournal { .. }) => {
                    Exit::Usage
                }
                _ => Exit::Failed,
            };
            return exit.after_output(writeln!(errors, "error: {error}"));
        }
    };
    Exit::Done.after_output(written)
}

fn in_runtime(dir: &Path, copy: &CopyAge) -> Result<Option<Ended>, AdoptError> {
    let found = inspect(dir)?;
    if found.is_damaged() {
        return Err(AdoptError::Damaged(dir.to_owned()));
    }
    if !found.is_copy {
        return Err(AdoptError::Original(dir.to_owned()));
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let options = JournalOptions {
            copied: Copied::Adopt,
            ..JournalOptions::default()
        };
        let journal = SqliteJournal::open(dir, options, Arc::new(SystemClock))?;
        let ended = match copy.old {
            true => Some(end_all(&journal).await?),
            false => None,
        };
        journal.close().await;
        Ok(ended)
    })
}

/// Ends everything that is open.
async fn end_all(journal: &SqliteJournal) -> Result<Ended, JournalError> {
    let now = SystemClock.now();
    let mut ended = Ended {
        cancelled: 0,
        lost: 0,
    };
    for (function, _) in journal.queue_lengths().await? {
        loop {
            let some = journal.cancel_all(&function, now, OLD_COPY, STEP).await?;
            ended.cancelled += some.len();
            if some.is_empty() {
                break;
            }
        }
    }
    let none = Arc::new(HashSet::new());
    loop {
        let some = journal.lose_running(now, OLD_COPY, &none, STEP).await?;
        ended.lost += some.len();
        if some.is_empty() {
            return Ok(ended);
        }
    }
}
