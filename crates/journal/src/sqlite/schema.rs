//! The tables, and how connections to them are opened.

use std::fs::OpenOptions;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::wal_damage::{self, Tail};
use super::{checkpoint_note, wal_index};
use crate::OpenError;

/// The version of [`TABLES`], in `PRAGMA user_version`.
pub(super) const VERSION: i64 = 5;

/// Bytes of a page.
pub(super) const PAGE_BYTES: u64 = 8192;

/// Pages that SQLite can have in a file.
const MAX_PAGES: u32 = 4_294_967_294;

/// How long SQLite waits for a lock that another connection holds.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// "TRIP": marks a database as a journal of Tripline.
const APPLICATION_ID: i64 = 0x5452_4950;

/// `state`: 0 accepted, 1 running, 2 succeeded, then the other ends. Times are milliseconds since 1970.
/// `kept_from`: when the end was recorded. Records from before version 5 have none and are kept from their end.
const TABLES: &str = "
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE functions (name TEXT PRIMARY KEY, execution TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE invocations (
    id BLOB PRIMARY KEY, function TEXT NOT NULL, via TEXT, state INTEGER NOT NULL,
    accepted_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER,
    reason TEXT, detail TEXT, exit_code INTEGER, signal INTEGER, result_cut INTEGER,
    event_id TEXT NOT NULL, source TEXT NOT NULL, kind TEXT NOT NULL, subject TEXT,
    time INTEGER NOT NULL, content_type TEXT, extensions TEXT, data_len INTEGER NOT NULL,
    duration_ms INTEGER, peak_memory_bytes INTEGER, memory_limit_bytes INTEGER, kept_from INTEGER,
    accepted_crc INTEGER, ended_crc INTEGER, result_crc INTEGER
) WITHOUT ROWID;
CREATE INDEX by_function ON invocations (function, id);
CREATE INDEX by_trigger ON invocations (via, id) WHERE via IS NOT NULL;
CREATE INDEX waiting ON invocations (function, accepted_at, id) WHERE state = 0;
CREATE INDEX running ON invocations (id) WHERE state = 1;
CREATE INDEX troubled ON invocations (state, id) WHERE state > 2;
CREATE INDEX ended ON invocations (ifnull(kept_from, ended_at), id) WHERE ended_at IS NOT NULL;
CREATE INDEX long ON invocations (id, ifnull(kept_from, ended_at))
    WHERE ifnull(kept_from, ended_at) - started_at > 60000;
CREATE TABLE payloads (id BLOB PRIMARY KEY, data BLOB NOT NULL, crc INTEGER) WITHOUT ROWID;
CREATE TABLE results (id BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE counts (
    function TEXT NOT NULL, state INTEGER NOT NULL, n INTEGER NOT NULL, PRIMARY KEY (function, state)
) WITHOUT ROWID;
CREATE TABLE identities (
    span INTEGER NOT NULL, bucket INTEGER NOT NULL, hash BLOB NOT NULL,
    id BLOB NOT NULL, digest BLOB, expires_at INTEGER NOT NULL, PRIMARY KEY (span, bucket, hash)
) WITHOUT ROWID;
CREATE TABLE watermarks (
    via TEXT NOT NULL, stream TEXT NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (via, stream)
) WITHOUT ROWID;
CREATE TABLE cursors (
    via TEXT NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, PRIMARY KEY (via, key)
) WITHOUT ROWID;
";

/// The columns that each version since the second added, all of them integers.
const ADDED_COLUMNS: [(i64, &str, &str); 8] = [
    (2, "invocations", "duration_ms"),
    (2, "invocations", "peak_memory_bytes"),
    (3, "invocations", "memory_limit_bytes"),
    (4, "payloads", "crc"),
    (5, "invocations", "kept_from"),
    (5, "invocations", "accepted_crc"),
    (5, "invocations", "ended_crc"),
    (5, "invocations", "result_crc"),
];

/// What else a version changed. No record is rewritten: there may be millions.
const REINDEXED: [(i64, &str); 1] = [(
    5,
    "DROP INDEX ended;
     CREATE INDEX ended ON invocations (ifnull(kept_from, ended_at), id) WHERE ended_at IS NOT NULL;
     CREATE INDEX long ON invocations (id, ifnull(kept_from, ended_at))
         WHERE ifnull(kept_from, ended_at) - started_at > 60000;",
)];

/// Opens the file for writing, and creates it if there is none.
pub(super) fn open_writer(path: &Path) -> Result<Connection, OpenError> {
    // SQLite gives the files beside it the same mode.
    let mut only_ours = OpenOptions::new();
    only_ours.read(true).append(true).create(true).mode(0o600);
    only_ours.open(path).map_err(|source| OpenError::Io {
        path: path.to_owned(),
        source,
    })?;
    let connection = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unusable(path))?;
    prepare(&connection, path)?;
    Ok(connection)
}

/// Migrates a file of an earlier version to this one, in one transaction, so that a crash leaves one version or the
/// other.
pub(super) fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version >= VERSION {
        return Ok(());
    }
    tracing::info!(from = version, to = VERSION, "migrating the journal");
    let columns = added_after(version)
        .map(|(table, column)| format!("ALTER TABLE {table} ADD COLUMN {column} INTEGER; "));
    let indices = REINDEXED.iter().filter(|(to, _)| *to > version);
    let indices = indices.map(|(_, sql)| (*sql).to_owned());
    let steps: String = columns.chain(indices).collect();
    let whole = format!("BEGIN IMMEDIATE; {steps} PRAGMA user_version = {VERSION}; COMMIT;");
    let migrated = connection.execute_batch(&whole);
    if migrated.is_err() && !connection.is_autocommit() {
        connection.execute_batch("ROLLBACK")?;
    }
    migrated
}

/// Lets a read-only connection read a file of an earlier version as if it were migrated.
pub(super) fn seem_migrated(connection: &Connection) -> rusqlite::Result<()> {
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    for table in ["invocations", "payloads"] {
        let added = added_after(version).filter(|(of, _)| *of == table);
        let added: String = added
            .map(|(_, column)| format!(", NULL AS {column}"))
            .collect();
        if !added.is_empty() {
            connection.execute_batch(&format!(
                "CREATE TEMP VIEW {table} AS SELECT *{added} FROM main.{table}"
            ))?;
        }
    }
    Ok(())
}

fn added_after(version: i64) -> impl Iterator<Item = (&'static str, &'static str)> {
    let later = ADDED_COLUMNS.iter().filter(move |(to, ..)| *to > version);
    later.map(|(_, table, column)| (*table, *column))
}

/// Opens the connection for checkpoints, which can write.
pub(super) fn open_second(path: &Path) -> Result<Connection, OpenError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unusable(path))
}

/// Opens a connection that cannot write.
pub(super) fn open_reader(path: &Path) -> Result<Connection, OpenError> {
    connect(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(unusable(path))
}

/// Opens a connection that cannot write and leaves SQLite's index of the WAL as it is. Otherwise the first connection to
/// a database would rebuild it, and with it the record of how long the WAL was would be gone. Beside a running hub it
/// uses the hub's.
pub(super) fn open_onlooker(path: &Path) -> Result<Connection, OpenError> {
    let io = |source| OpenError::Io {
        path: wal_damage::beside(path, "-wal"),
        source,
    };
    let how = if wal_damage::salts(path).map_err(io)?.is_some() {
        // An index that SQLite made for us would say that the WAL is all there.
        if wal_index::make_empty(path).is_err() {
            // SQLite says why it cannot make one, either.
            return open_reader(path);
        }
        "readonly_shm"
    } else {
        // There is nothing in the WAL. Where something may be missing, only the file counts.
        let state = wal_damage::wal_state(path).map_err(io)?;
        if state.unproven.is_none() && !matches!(state.tail, Tail::Short { .. }) {
            return open_reader(path);
        }
        "immutable"
    };
    let bytes = path.as_os_str().as_bytes();
    let escaped: String = bytes.iter().map(|byte| format!("%{byte:02x}")).collect();
    let uri = format!("file:{escaped}?{how}=1");
    let access = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI;
    connect(Path::new(&uri), access).map_err(unusable(path))
}

/// Copies the WAL into the database; answers the frames in the WAL and how many of them are in the database.
pub(super) fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<(i64, i64)> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    connection.query_row(&sql, [], |row| Ok((row.get(1)?, row.get(2)?)))
}

/// Checkpoints all of the WAL and truncates it; answers as [`checkpoint`] does. Where readers of an old state prevent
/// that, it is not truncated.
pub(super) fn truncate_wal(connection: &Connection, path: &Path) -> rusqlite::Result<(i64, i64)> {
    let (frames, checkpointed) = checkpoint(connection, "FULL")?;
    if frames > checkpointed {
        return Ok((frames, checkpointed));
    }
    checkpoint_note::write(path, frames);
    checkpoint(connection, "TRUNCATE")
}

/// Bytes in free pages of the file.
pub(super) fn free_bytes(connection: &Connection) -> rusqlite::Result<u64> {
    let pages: i64 = connection.pragma_query_value(None, "freelist_count", |row| row.get(0))?;
    Ok(pages.unsigned_abs() * PAGE_BYTES)
}

/// Sets whether this connection may make the file larger. If not, a write that finds no free page fails as on a full
/// disk.
pub(super) fn let_grow(connection: &Connection, may: bool) -> rusqlite::Result<()> {
    // SQLite raises a bound below the file's length to that length.
    let most = if may { MAX_PAGES } else { 1 };
    let sql = format!("PRAGMA max_page_count = {most}");
    connection.query_row(&sql, [], |_| Ok(()))
}

/// Turns an SQLite error into one that says `path` cannot be used.
pub(super) fn unusable(path: &Path) -> impl Fn(rusqlite::Error) -> OpenError + '_ {
    |error| OpenError::Unusable {
        path: path.to_owned(),
        reason: error.to_string(),
    }
}

fn connect(path: &Path, access: OpenFlags) -> rusqlite::Result<Connection> {
    let connection = Connection::open_with_flags(path, access | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(64);
    // After a failed fsync nothing may be written any more, not even by closing.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    // Otherwise a statement is planned again for each value that is compared with the condition of a partial index.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES.cast_signed())?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -16_384)?;
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

fn prepare(connection: &Connection, path: &Path) -> Result<(), OpenError> {
    let is_empty = refuse_others(connection, path)?;
    switch_on_wal(connection).map_err(unusable(path))?;
    if is_empty {
        create(connection).map_err(unusable(path))?;
    }
    Ok(())
}

/// Fails if this version cannot read the file; answers whether it is still empty.
pub(super) fn refuse_others(connection: &Connection, path: &Path) -> Result<bool, OpenError> {
    let pragma = |name: &str| -> Result<i64, OpenError> {
        connection
            .pragma_query_value(None, name, |row| row.get(0))
            .map_err(unusable(path))
    };
    let (version, application) = (pragma("user_version")?, pragma("application_id")?);
    if version > VERSION {
        return Err(OpenError::Newer {
            path: path.to_owned(),
            found: version,
            known: VERSION,
        });
    }
    let empty = pragma("schema_version")? == 0;
    if !empty && (application != APPLICATION_ID || version < 1) {
        return Err(OpenError::Unusable {
            path: path.to_owned(),
            reason: "it is a database, but not a journal of Tripline".to_owned(),
        });
    }
    Ok(empty)
}

/// SQLite writes this change only after its one row was read, so whether it worked is known only after the next step. A
/// journal without a WAL would lose what callers were told is kept.
fn switch_on_wal(connection: &Connection) -> rusqlite::Result<()> {
    let mut switch = connection.prepare("PRAGMA journal_mode = WAL")?;
    let mut rows = switch.query([])?;
    while rows.next()?.is_some() {}
    Ok(())
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    let hub_id = new_hub_id();
    connection.execute_batch(&format!(
        "BEGIN IMMEDIATE; {TABLES} INSERT INTO meta (name, value) VALUES ('hub_id', '{hub_id}');
         PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {VERSION}; COMMIT;"
    ))
}

fn new_hub_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the kernel gives random bytes");
    uuid::Builder::from_random_bytes(bytes)
        .into_uuid()
        .to_string()
}
