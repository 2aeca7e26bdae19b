//! Opening a journal: claim the directory, bring the file up, start the threads.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use tokio::sync::{Semaphore, mpsc};
use tripline_model::Clock;

use super::job::Work;
use super::log::Log;
use super::readers::Readers;
use super::reserve::Reserve;
use super::shared::{Meaning, Shared, meaning};
use super::wal::{self, Tail};
use super::writer::{Checkpoints, Writer};
use super::{
    Copied, JournalOptions, SqliteJournal, WriterTask, checkpoint, data_dir, original, schema,
};
use crate::OpenError;

/// A journal, its writer, and the queue between them.
type Prepared = (SqliteJournal, Writer, mpsc::Receiver<Box<dyn Work>>);

/// Writes that wait, at most.
const QUEUE: usize = 1024;

/// See [`SqliteJournal::open`].
pub(super) fn open(
    dir: &Path,
    options: JournalOptions,
    clock: Arc<dyn Clock>,
) -> Result<SqliteJournal, OpenError> {
    let (journal, writer, queue) = prepare(dir, options, clock, true)?;
    let thread = spawn("journal-writer", dir, move || writer.run(queue))?;
    let slot = journal.writer.lock();
    *slot.unwrap_or_else(PoisonError::into_inner) = Some(thread);
    Ok(journal)
}

/// See [`SqliteJournal::open_inline`].
pub(super) fn open_inline(
    dir: &Path,
    options: JournalOptions,
    clock: Arc<dyn Clock>,
) -> Result<(SqliteJournal, WriterTask), OpenError> {
    let (journal, writer, queue) = prepare(dir, options, clock, false)?;
    Ok((journal, Box::pin(writer.run_inline(queue))))
}

/// The journal, and what its writer needs. With `threads`, moving the log and reading happen on threads of their own.
fn prepare(
    dir: &Path,
    options: JournalOptions,
    clock: Arc<dyn Clock>,
    threads: bool,
) -> Result<Prepared, OpenError> {
    let reserve_bytes = options.reserve_bytes.max(1 << 20);
    let lock = data_dir::claim(dir)?;
    let path = dir.join("journal.db");
    refuse_damage(&path)?;
    data_dir::rewrite_log(&path)?;
    let mut connection = schema::open_writer(&path)?;
    let reserve = Reserve::new(dir, reserve_bytes);
    let with_room = |step: &dyn Fn() -> rusqlite::Result<()>| {
        with_room(&reserve, step).map_err(schema::unusable(&path))
    };
    // Everything of a log that a crash left behind goes into the file, fsync included, before anything is read: after
    // a failed fsync, what the log seems to hold may be in the page cache only.
    with_room(&|| schema::checkpoint(&connection, "TRUNCATE").map(drop))?;
    let is_copy = original::is_copy(&connection, &path).map_err(schema::unusable(&path))?;
    if is_copy && options.copied == Copied::Refuse {
        return Err(OpenError::Copied { path });
    }
    with_room(&|| schema::migrate(&connection))?;
    with_room(&|| original::note(&connection, &path))?;
    data_dir::sync(dir)?;
    let shared = Arc::new(Shared::new());
    if reserve.make().is_err() {
        shared.set_full(true);
    }
    shared
        .spans
        .load(&connection)
        .map_err(schema::unusable(&path))?;
    let hub_id = connection
        .query_row("SELECT value FROM meta WHERE name = 'hub_id'", [], |row| {
            row.get(0)
        })
        .map_err(schema::unusable(&path))?;
    let (sender, queue) = mpsc::channel(QUEUE);
    let readers = Readers::open(&path, options.readers.clamp(1, 64), threads)?;
    let log = Log::watch(&mut connection, reserve_bytes).map_err(schema::unusable(&path))?;
    let checkpoints = if threads {
        start_checkpoints(&path, &shared, sender.downgrade())?
    } else {
        Checkpoints::Inline(schema::open_second(&path)?)
    };
    let writer = Writer {
        connection,
        shared: Arc::clone(&shared),
        reserve,
        checkpoints,
        log,
        place: data_dir::Place::of(&path).map_err(|source| OpenError::Io {
            path: path.clone(),
            source,
        })?,
        lock,
        moving: false,
        look_again: None,
    };
    let queue_bytes = options.queue_bytes.max(1);
    let journal = SqliteJournal {
        clock,
        hub_id,
        shared,
        readers,
        queue: Mutex::new(Some(sender)),
        queue_bytes,
        room: Arc::new(Semaphore::new(queue_bytes as usize)),
        writer: Mutex::new(None),
    };
    Ok((journal, writer, queue))
}

/// SQLite would take the log up to the damage, and forget without a word what comes after.
fn refuse_damage(path: &Path) -> Result<(), OpenError> {
    let log = path.with_file_name("journal.db-wal");
    match wal::look(path) {
        Ok(Tail::Whole) => Ok(()),
        Ok(Tail::Torn { at }) => {
            tracing::info!(
                at,
                "the journal's log ends in a transaction that was never finished"
            );
            Ok(())
        }
        Ok(Tail::Damaged { at, transactions }) => Err(OpenError::Damaged {
            what: format!("after {at} bytes; {transactions} transactions come after that"),
            path: log,
        }),
        Err(source) => Err(OpenError::Io { path: log, source }),
    }
}

/// Takes a step that needs room on the disk. On a full one it gets that of the reserve, and is taken again.
fn with_room(reserve: &Reserve, step: &dyn Fn() -> rusqlite::Result<()>) -> rusqlite::Result<()> {
    match step() {
        // Nothing but this is tried again: after a failed fsync the second one may succeed, with the data gone.
        Err(error) if matches!(meaning(&error), Meaning::Full) && reserve.release().is_ok() => {
            step()
        }
        taken => taken,
    }
}

fn start_checkpoints(
    path: &Path,
    shared: &Arc<Shared>,
    writer: mpsc::WeakSender<Box<dyn Work>>,
) -> Result<Checkpoints, OpenError> {
    let connection = schema::open_second(path)?;
    let (wake, wakes) = sync_channel(1);
    let shared = Arc::clone(shared);
    let run = move || checkpoint::run(&connection, &shared, &wakes, &writer);
    let thread = spawn("journal-checkpoint", path, run)?;
    Ok(Checkpoints::Thread { wake, thread })
}

fn spawn(
    name: &str,
    path: &Path,
    run: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, OpenError> {
    let named = thread::Builder::new().name(name.to_owned());
    named.spawn(run).map_err(|source| OpenError::Io {
        path: path.to_owned(),
        source,
    })
}
