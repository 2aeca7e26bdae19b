//! The file of one day: the logs of the invocations accepted on it (UTC), whenever they were written.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use rusqlite::{
    Connection, OpenFlags, OptionalExtension, Transaction, TransactionBehavior, params,
};
use tripline_model::{LogLine, LogStream, RequestId, Timestamp};

use super::tally::{Placed, Tally};
use crate::inspect::integrity;
use crate::log_store::Fill;

const VERSION: i64 = 3;

const TABLES: &str = "
CREATE TABLE IF NOT EXISTS lines (
    id BLOB NOT NULL, seq INTEGER NOT NULL, at INTEGER NOT NULL, stream INTEGER NOT NULL,
    text BLOB NOT NULL, complete INTEGER NOT NULL DEFAULT 1, origin INTEGER, PRIMARY KEY (id, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS newest (only_row INTEGER PRIMARY KEY CHECK (only_row = 1), at INTEGER NOT NULL);
";

/// The changes of each version since the second. Before version 2 every line was complete and came once. Before version 3
/// the lines about the run itself were stored, too, the first as number 1; now readers derive them from the run's record.
const STEPS: [(i64, &str); 2] = [
    (
        2,
        "ALTER TABLE lines ADD COLUMN complete INTEGER NOT NULL DEFAULT 1;
         ALTER TABLE lines ADD COLUMN origin INTEGER;",
    ),
    (
        3,
        "DELETE FROM lines WHERE stream = 2 AND (
             CAST(text AS TEXT) GLOB 'START RequestId:*' OR CAST(text AS TEXT) GLOB 'ERROR RequestId:*'
             OR CAST(text AS TEXT) GLOB 'END RequestId:*' OR CAST(text AS TEXT) GLOB 'Report RequestId:*');
         UPDATE lines SET seq = seq - 1
         WHERE id IN (SELECT id FROM lines GROUP BY id HAVING min(seq) = 2);",
    ),
];

/// Pages of 8 KiB in the write-ahead log (WAL) before it is checkpointed, fsync included. The writer, and so every
/// follower, waits for that: 2 MiB take about 10 ms, 32 MiB took 200 ms.
const CHECKPOINT_PAGES: i64 = 256;

const DAY_MILLIS: i64 = 86_400_000;

/// A day, counted from 1970-01-01.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Day(i64);

// === impl Day ===

impl Day {
    /// The day whose file has an invocation's log.
    pub(super) fn of(id: RequestId) -> Self {
        Self(id.timestamp().as_millis().div_euclid(DAY_MILLIS))
    }

    /// When the day is over.
    pub(super) fn end(self) -> Timestamp {
        Timestamp::from_millis((self.0 + 1) * DAY_MILLIS)
    }

    /// Its file in `dir`, such as `2026-11-24.db`.
    pub(super) fn path(self, dir: &Path) -> PathBuf {
        let text = Timestamp::from_millis(self.0 * DAY_MILLIS).to_string();
        let date = text.split('T').next().unwrap_or_default();
        dir.join(format!("{date}.db"))
    }

    /// The days that have a file in `dir`.
    pub(super) fn all(dir: &Path) -> io::Result<Vec<Self>> {
        let mut days = Vec::new();
        for entry in fs::read_dir(dir)? {
            let name = entry?.file_name();
            let date = name.to_str().and_then(|name| name.strip_suffix(".db"));
            let start = date.and_then(|date| Timestamp::parse(&format!("{date}T00:00:00Z")));
            days.extend(start.map(|start| Self(start.as_millis().div_euclid(DAY_MILLIS))));
        }
        Ok(days)
    }

    /// Removes its file and what belongs to it.
    pub(super) fn remove(self, dir: &Path) -> io::Result<()> {
        let path = self.path(dir);
        for suffix in ["-shm", "-wal", ""] {
            match fs::remove_file(with_suffix(&path, suffix)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

/// The files of days in `dir` that cannot be read, and what is wrong with each. If `dir` itself cannot be read, it is
/// listed.
pub(crate) fn unreadable_days(dir: &Path) -> Vec<(PathBuf, String)> {
    let days = match Day::all(dir) {
        Ok(days) => days,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Vec::new(),
        Err(error) => return vec![(dir.to_owned(), error.to_string())],
    };
    let looked = days.into_iter().filter_map(|day| {
        let path = day.path(dir);
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let opened = Connection::open_with_flags(&path, flags);
        match opened.and_then(|connection| integrity(&connection)) {
            Ok(lines) if lines.is_empty() => None,
            Ok(lines) => Some((path, lines.join("; "))),
            Err(error) => Some((path, error.to_string())),
        }
    });
    looked.collect()
}

/// Opens a day's file for writing, and creates it if there is none.
pub(super) fn open_writer(path: &Path) -> rusqlite::Result<Connection> {
    let mut only_ours = OpenOptions::new();
    only_ours.append(true).create(true).mode(0o600);
    // If this fails, SQLite fails, too, with a better message.
    let _ = only_ours.open(path);
    let connection = connect(path)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version > VERSION {
        let what = format!("{} has version {version}", path.display());
        return Err(rusqlite::Error::ToSqlConversionFailure(what.into()));
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    if version == 0 {
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {TABLES} PRAGMA user_version = {VERSION}; COMMIT;"
        ))?;
    }
    migrate(&connection)?;
    Ok(connection)
}

/// Opens a day's file for reading; `None` while it is being created.
pub(super) fn open_reader(path: &Path) -> rusqlite::Result<Option<Connection>> {
    let connection = connect(path)?;
    let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version == 0 {
        return Ok(None);
    }
    // A day that nobody writes to any more is migrated by its first reader.
    migrate(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(Some(connection))
}

/// Migrates a file of an earlier version to this one. Done by whoever opens it first.
fn migrate(connection: &Connection) -> rusqlite::Result<()> {
    let version = || -> rusqlite::Result<i64> {
        connection.pragma_query_value(None, "user_version", |row| row.get(0))
    };
    if version()? >= VERSION {
        return Ok(());
    }
    let transaction = Transaction::new_unchecked(connection, TransactionBehavior::Immediate)?;
    // Another connection may have done it while this one waited.
    let version = version()?;
    for (to, step) in STEPS.iter().filter(|(to, _)| *to > version) {
        connection.execute_batch(step)?;
        connection.pragma_update(None, "user_version", to)?;
    }
    transaction.commit()
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(5))?;
    connection.pragma_update(None, "page_size", 8192)?;
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}

/// Reads the last numbers of a log.
pub(super) fn tally(connection: &Connection, id: RequestId) -> rusqlite::Result<Tally> {
    let mut select = connection.prepare_cached(
        "SELECT coalesce(max(seq), 0), coalesce(max(origin), 0) FROM lines WHERE id = ?1",
    )?;
    select.query_row([id.as_bytes()], |row| {
        Ok(Tally {
            seq: row.get::<_, i64>(0)?.unsigned_abs(),
            lost: 0,
            origin: row.get::<_, i64>(1)?.unsigned_abs(),
        })
    })
}

/// Writes lines and the time of the newest one.
pub(super) fn insert(connection: &Connection, lines: &[Placed]) -> rusqlite::Result<()> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO lines (id, seq, at, stream, text, complete, origin)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
    )?;
    let mut newest = i64::MIN;
    for placed in lines {
        let line = &placed.line;
        insert.execute(params![
            line.request_id.as_bytes(),
            line.seq.cast_signed(),
            line.at.as_millis(),
            code(line.stream),
            line.text.as_ref(),
            line.complete,
            placed.origin.map(u64::cast_signed)
        ])?;
        newest = newest.max(line.at.as_millis());
    }
    connection
        .prepare_cached(
            "INSERT INTO newest (only_row, at) VALUES (1, ?1)
             ON CONFLICT (only_row) DO UPDATE SET at = max(at, excluded.at)",
        )?
        .execute([newest])?;
    Ok(())
}

/// When the newest line of the file was written.
pub(super) fn newest(connection: &Connection) -> rusqlite::Result<Option<Timestamp>> {
    let at = connection.query_row("SELECT at FROM newest", [], |row| row.get(0));
    Ok(at.optional()?.map(Timestamp::from_millis))
}

/// The same for a file that is not open. Nothing is written for that: the disk may be full, which may be why old files
/// are removed.
pub(super) fn newest_in(path: &Path) -> rusqlite::Result<Option<Timestamp>> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_URI;
    newest(&Connection::open_with_flags(unchanging(path), flags)?)
}

/// Whether a crash left lines in the WAL of a file: only a connection that can write can read them.
pub(super) fn has_wal(path: &Path) -> bool {
    fs::metadata(with_suffix(path, "-wal")).is_ok_and(|log| log.len() > 0)
}

/// When a file or its WAL was last written, according to the file system.
pub(super) fn changed(path: &Path) -> io::Result<Timestamp> {
    let written = |path: &Path| fs::metadata(path)?.modified();
    let file = written(path)?;
    let last = written(&with_suffix(path, "-wal")).map_or(file, |log| log.max(file));
    let since = last.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(Timestamp::from_millis(0).plus(since))
}

/// A URI with which SQLite opens a file without creating others beside it.
fn unchanging(path: &Path) -> String {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => {
                uri.push(char::from(*byte))
            }
            other => uri.push_str(&format!("%{other:02x}")),
        }
    }
    uri.push_str("?immutable=1");
    uri
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.to_owned().into_os_string();
    name.push(suffix);
    name.into()
}

/// The highest origin in a log: origins rise with the lines.
pub(super) fn last_origin(connection: &Connection, id: RequestId) -> rusqlite::Result<u64> {
    let mut select = connection.prepare_cached(
        "SELECT origin FROM lines WHERE id = ?1 AND origin IS NOT NULL ORDER BY seq DESC LIMIT 1",
    )?;
    let last = select.query_row([id.as_bytes()], |row| row.get::<_, i64>(0));
    Ok(last.optional()?.map_or(0, i64::unsigned_abs))
}

/// The number of the last line of a log; 0 if there is none.
pub(super) fn last_seq(connection: &Connection, id: RequestId) -> rusqlite::Result<u64> {
    let mut select =
        connection.prepare_cached("SELECT coalesce(max(seq), 0) FROM lines WHERE id = ?1")?;
    let last = select.query_row([id.as_bytes()], |row| row.get::<_, i64>(0))?;
    Ok(last.unsigned_abs())
}

/// Lines of one log.
pub(super) fn read(
    connection: &Connection,
    id: RequestId,
    after_seq: u64,
    limit: usize,
) -> rusqlite::Result<Vec<LogLine>> {
    let mut select = connection.prepare_cached(
        "SELECT seq, at, stream, text, complete FROM lines WHERE id = ?1 AND seq > ?2
         ORDER BY seq LIMIT ?3",
    )?;
    let after = i64::try_from(after_seq).unwrap_or(i64::MAX);
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = select.query_map(params![id.as_bytes(), after, limit], |row| {
        Ok(LogLine {
            request_id: id,
            seq: row.get::<_, i64>(0)?.unsigned_abs(),
            at: Timestamp::from_millis(row.get(1)?),
            stream: match row.get(2)? {
                0 => LogStream::Stdout,
                1 => LogStream::Stderr,
                // Earlier builds stored another number for the remark that a log was cut.
                _ => LogStream::System,
            },
            text: Bytes::from(row.get::<_, Vec<u8>>(3)?),
            complete: row.get(4)?,
        })
    })?;
    let mut fill = Fill::default();
    rows.take_while(|row| row.as_ref().map_or(true, |line| fill.takes(line)))
        .collect()
}

fn code(stream: LogStream) -> u8 {
    match stream {
        LogStream::Stdout => 0,
        LogStream::Stderr => 1,
        LogStream::System => 2,
    }
}
