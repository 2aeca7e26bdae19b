//! Tells the journal from a copy of it.
//!
//! A copy is out of date as soon as a hub goes on with the original: what waits in the copy may have run since, and a
//! hub on the copy would run it again. So a journal notes which file it is. If it is found in another file, it is only
//! opened when somebody has said what to do ([`Copied`]).

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use rusqlite::{Connection, OptionalExtension};

/// What is done with a journal that was copied from another place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Copied {
    /// It is not opened.
    #[default]
    Refuse,
    /// It is opened, and is the journal from now on.
    Adopt,
}

/// Identifies the file at `path`: no copy has the same identity, and a restart of the machine does not change it. `None`
/// where the file system does not know when a file was created; there, copies cannot be detected.
pub(super) fn identity(path: &Path) -> io::Result<Option<String>> {
    let about = fs::metadata(path)?;
    let made = about.created().ok();
    let made = made.and_then(|at| at.duration_since(UNIX_EPOCH).ok());
    Ok(made.map(|made| format!("{}-{}", about.ino(), made.as_nanos())))
}

/// Whether the journal at `path` has noted that it is another file.
pub(super) fn is_copy(connection: &Connection, path: &Path) -> rusqlite::Result<bool> {
    let noted = noted(connection)?;
    let is = identity(path).ok().flatten();
    Ok(noted.zip(is).is_some_and(|(noted, is)| noted != is))
}

/// Notes which file the journal is, where that can be identified.
pub(super) fn note(connection: &Connection, path: &Path) -> rusqlite::Result<()> {
    let is = identity(path).ok().flatten();
    if let Some(is) = is.filter(|is| noted(connection).ok().flatten().as_ref() != Some(is)) {
        connection.execute(
            "INSERT OR REPLACE INTO meta (name, value) VALUES ('file', ?1)",
            [is],
        )?;
    }
    Ok(())
}

fn noted(connection: &Connection) -> rusqlite::Result<Option<String>> {
    let select = "SELECT value FROM meta WHERE name = 'file'";
    connection
        .query_row(select, [], |found| found.get(0))
        .optional()
}
