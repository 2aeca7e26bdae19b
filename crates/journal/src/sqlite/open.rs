//! Opens a journal: locks the directory, recovers and migrates the file, starts the threads.

use std::path::Path;
use std::sync::mpsc::sync_channel;
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rusqlite::Connection;
use tokio::sync::{Semaphore, mpsc};
use tripline_model::{Clock, lock};

use super::job::Work;
use super::readers::Readers;
use super::reserve::Reserve;
use super::shared::Shared;
use super::wal_damage::{self, Tail, WalState};
use super::wal_size::WalSize;
use super::writer::{Checkpoints, Writer};
use super::{
    Copied, JournalOptions, SqliteJournal, WriterTask, checkpoint, checkpoint_note, data_dir,
    original, schema, wal_index,
};
use crate::OpenError;
use crate::damage::{self, Damage};

/// A journal, its writer, and the queue between them.
type Prepared = (SqliteJournal, Writer, mpsc::Receiver<Box<dyn Work>>);

/// The most writes that may wait.
const MAX_QUEUED: usize = 1024;

/// See [`SqliteJournal::open`].
pub(super) fn open(
    dir: &Path,
    options: JournalOptions,
    clock: Arc<dyn Clock>,
) -> Result<SqliteJournal, OpenError> {
    let (journal, writer, queue) = prepare(dir, options, clock, true)?;
    let thread = spawn("journal-writer", dir, move || writer.run(queue))?;
    *lock(&journal.writer) = Some(thread);
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

/// The journal, and what its writer needs. With `threads`, checkpoints and reads happen on threads of their own.
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
    data_dir::rewrite_wal(&path)?;
    wal_index::begin(&path).map_err(failed_at(&path))?;
    checkpoint_note::begin(&path);
    // On a full disk a start needs this room: there may be no other for the index of the WAL.
    let reserve = Reserve::new(dir, reserve_bytes);
    reserve.release().map_err(failed_at(&path))?;
    let mut connection = schema::open_writer(&path)?;
    // A WAL that a crash left is checkpointed, with fsync, before anything is read: after a failed fsync, what seems to
    // be in the WAL may only be in the page cache.
    schema::truncate_wal(&connection, &path).map_err(schema::unusable(&path))?;
    let is_copy = original::is_copy(&connection, &path).map_err(schema::unusable(&path))?;
    if is_copy && options.copied == Copied::Refuse {
        return Err(OpenError::Copied { path });
    }
    schema::migrate(&connection).map_err(schema::unusable(&path))?;
    original::note(&connection, &path).map_err(schema::unusable(&path))?;
    data_dir::sync(dir)?;
    let shared = Arc::new(Shared::new());
    shared
        .spans
        .load(&connection)
        .map_err(schema::unusable(&path))?;
    let hub_id = connection
        .query_row("SELECT value FROM meta WHERE name = 'hub_id'", [], |row| {
            row.get(0)
        })
        .map_err(schema::unusable(&path))?;
    let (sender, queue) = mpsc::channel(MAX_QUEUED);
    let readers = Readers::open(&path, options.readers.clamp(1, 64), threads)?;
    let lists = Readers::open(&path, 1, threads)?;
    let wal_size =
        WalSize::watch(&mut connection, reserve_bytes).map_err(schema::unusable(&path))?;
    let checkpoints = if threads {
        start_checkpoints(&path, &shared, sender.downgrade())?
    } else {
        Checkpoints::Inline(schema::open_second(&path)?)
    };
    let mut writer = Writer {
        connection,
        shared: Arc::clone(&shared),
        reserve,
        checkpoints,
        wal_size,
        place: data_dir::Place::of(&path).map_err(failed_at(&path))?,
        lock,
        checkpointing: false,
        must_not_grow: false,
        look_again: None,
    };
    writer.begin();
    let queue_bytes = options.queue_bytes.max(1);
    let journal = SqliteJournal {
        clock,
        hub_id,
        shared,
        readers,
        lists,
        queue: Mutex::new(Some(sender)),
        queue_bytes,
        room: Arc::new(Semaphore::new(queue_bytes as usize)),
        writer: Mutex::new(None),
    };
    Ok((journal, writer, queue))
}

/// Fails where [`open`] would, and changes nothing.
pub(crate) fn try_to_read(path: &Path) -> Result<(), OpenError> {
    refuse_damage(path)?;
    let Some(connection) = reader(path)? else {
        return Ok(());
    };
    match original::is_copy(&connection, path) {
        Ok(true) => Err(OpenError::Copied {
            path: path.to_owned(),
        }),
        Ok(false) => Ok(()),
        Err(error) => Err(schema::unusable(path)(error)),
    }
}

/// A read-only connection to a journal that this version can read, even while a hub uses it. `None` if the journal is
/// still empty.
pub(crate) fn reader(path: &Path) -> Result<Option<Connection>, OpenError> {
    let connection = schema::open_onlooker(path)?;
    let is_empty = schema::refuse_others(&connection, path)?;
    Ok((!is_empty).then_some(connection))
}

/// SQLite would read the WAL up to the damage and silently drop what comes after it.
fn refuse_damage(path: &Path) -> Result<(), OpenError> {
    let wal = path.with_file_name("journal.db-wal");
    let WalState { tail, unproven } = wal_damage::wal_state(path).map_err(failed_at(&wal))?;
    if let Tail::Torn { at } = tail {
        tracing::info!(
            at,
            "the journal's WAL ends in a transaction that was never finished"
        );
    }
    if let Some(transactions) = unproven {
        tracing::warn!("{}", damage::unproven(transactions));
    }
    if let Some(damage) = tail.damage(&wal) {
        return Err(damage.refused(&wal));
    }
    match wal_damage::cut_in_page(path).map_err(failed_at(path))? {
        None => Ok(()),
        Some(length) => Err(Damage::of_a_cut_page(length).refused(path)),
    }
}

fn failed_at(path: &Path) -> impl Fn(std::io::Error) -> OpenError + '_ {
    |source| OpenError::Io {
        path: path.to_owned(),
        source,
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
    named.spawn(run).map_err(failed_at(path))
}
