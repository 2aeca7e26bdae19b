//! Checks a data directory that no hub uses, and changes nothing in it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rusqlite::Connection;
use tripline_model::Execution;

use crate::OpenError;
use crate::damage::{self, Damage, MEND_JOURNAL};
use crate::error::how_to_adopt;
use crate::logs::unreadable_days;
use crate::sqlite::{
    Records, Tail, WalState, cut_in_page, keep_out, reader, records, try_to_read, wal_state,
};

/// What was found.
#[derive(Debug, Default)]
pub struct Inspection {
    /// Invocations by state.
    pub states: Vec<(&'static str, u64)>,
    /// Whether the journal was copied from another place, so that a hub refuses it.
    pub is_copy: bool,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
}

/// One thing that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Whether something is lost that callers were told is kept.
    pub is_damage: bool,
    /// Where.
    pub file: PathBuf,
    /// What is wrong there.
    pub what: String,
    /// What is lost.
    pub lost: String,
    /// What to do.
    pub mend: Cow<'static, str>,
}

/// What a journal knows of a function.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KnownFunction {
    /// Its name.
    pub name: String,
    /// The mode it is locked to; `None` if it was removed from the configuration and only has open invocations left.
    pub execution: Option<Execution>,
    /// Invocations that were not started yet.
    pub waiting: u64,
    /// Invocations that were started and have not ended yet.
    pub running: u64,
}

const MEND_BY_START: &str = "nothing: the next start of the hub puts it right";
const MEND_UNPROVEN: &str = "nothing after a power cut: a hub starts, and says this once; in place of a copy without `journal.db-shm`, take one \
                             of the whole data directory";
// Under the same key, and as the same object or message, it counts as accepted before.
const MEND_EVENTS: &str =
    "nothing here: a hub has ended them; offer what must be done again, under another key";
const MEND_LOGS: &str =
    "remove this file with the hub stopped, if its logs may go; the journal does not need it";

/// Checks the data directory `dir`.
///
/// # Errors
/// It cannot be looked at: `Locked` while a hub uses it, `NoJournal` where no hub ever was, `Newer` where a newer version
/// was, which alone knows what fits.
pub fn inspect(dir: &Path) -> Result<Inspection, OpenError> {
    // The directory itself must be there.
    fs::read_dir(dir).map_err(|source| OpenError::Io {
        path: dir.to_owned(),
        source,
    })?;
    let kept_out = keep_out(dir)?;
    let journal = dir.join("journal.db");
    let mut inspection = Inspection::default();
    let is_there = match fs::metadata(&journal) {
        Ok(_) => inspection.look_at_journal(&journal)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => false,
        Err(source) => {
            return Err(OpenError::Io {
                path: journal,
                source,
            });
        }
    };
    if !is_there {
        // Every hub leaves its lock file.
        if kept_out.is_none() {
            return Err(OpenError::NoJournal {
                dir: dir.to_owned(),
            });
        }
        inspection.note(Finding {
            is_damage: true,
            file: journal,
            what: "there is no journal, and a hub has used this directory".to_owned(),
            lost: "everything, if it was not killed before it had made one".to_owned(),
            mend: MEND_JOURNAL.into(),
        });
    }
    inspection.look_at_logs(&dir.join("logs"));
    Ok(inspection)
}

/// Whether a hub would open the data directory `dir`. Quick, for it does not read each record; changes nothing.
///
/// # Errors
/// Why it would refuse. `Locked` while a hub uses the directory.
pub fn would_open(dir: &Path) -> Result<(), OpenError> {
    let _kept_out = keep_out(dir)?;
    let journal = dir.join("journal.db");
    match fs::metadata(&journal) {
        Ok(_) => try_to_read(&journal),
        // A hub would create one.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(source) => Err(OpenError::Io {
            path: journal,
            source,
        }),
    }
}

/// The functions that the journal in `dir` knows or has open invocations of; none if there is no journal. A hub may use
/// the directory meanwhile, so that one can ask what its next start would change before it is stopped.
///
/// # Errors
/// The journal cannot be read.
pub fn known_functions(dir: &Path) -> Result<Vec<KnownFunction>, OpenError> {
    let path = dir.join("journal.db");
    match fs::metadata(&path) {
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(OpenError::Io { path, source }),
    }
    let Some(connection) = reader(&path)? else {
        return Ok(Vec::new());
    };
    functions(&connection).map_err(|error| OpenError::Unusable {
        path,
        reason: error.to_string(),
    })
}

fn functions(connection: &Connection) -> rusqlite::Result<Vec<KnownFunction>> {
    let mut known: BTreeMap<String, KnownFunction> = BTreeMap::new();
    let mut select = connection.prepare("SELECT name, execution FROM functions")?;
    let mut rows = select.query([])?;
    while let Some(found) = rows.next()? {
        let execution: String = found.get(1)?;
        known.entry(found.get(0)?).or_default().execution = Execution::parse(&execution);
    }
    let mut select =
        connection.prepare("SELECT function, state, n FROM counts WHERE state <= 1 AND n > 0")?;
    let mut rows = select.query([])?;
    while let Some(found) = rows.next()? {
        let one = known.entry(found.get(0)?).or_default();
        let open = match found.get(1)? {
            0 => &mut one.waiting,
            _ => &mut one.running,
        };
        *open = found.get::<_, i64>(2)?.unsigned_abs();
    }
    let named = |(name, one)| KnownFunction { name, ..one };
    Ok(known.into_iter().map(named).collect())
}

// === impl Inspection ===

impl Inspection {
    /// Whether something is lost that callers were told is kept.
    pub fn is_damaged(&self) -> bool {
        self.findings.iter().any(|finding| finding.is_damage)
    }

    fn note(&mut self, finding: Finding) {
        self.findings.push(finding);
    }

    fn note_damage(&mut self, file: PathBuf, Damage { what, lost, mend }: Damage) {
        self.note(Finding {
            is_damage: true,
            file,
            what,
            lost,
            mend: mend.into(),
        });
    }

    /// Answers whether there is anything in the file: a hub that was killed early leaves an empty one.
    fn look_at_journal(&mut self, path: &Path) -> Result<bool, OpenError> {
        let wal = path.with_file_name("journal.db-wal");
        let WalState { tail, unproven } = wal_state(path).map_err(|source| OpenError::Io {
            path: wal.clone(),
            source,
        })?;
        if let Tail::Torn { at } = tail {
            self.note(Finding {
                is_damage: false,
                file: wal.clone(),
                what: format!("it ends in the middle of a transaction, which began after {at} bytes"),
                lost: "what was being written when the hub was killed or the power went, which nobody was told of"
                    .to_owned(),
                mend: MEND_BY_START.into(),
            });
        }
        if let Some(transactions) = unproven {
            self.note(Finding {
                is_damage: false,
                file: wal.clone(),
                what: damage::unproven(transactions),
                lost: "nothing that anybody was told is kept, if only the power went; if something cut this file, the \
                       receipts, starts and ends that came after"
                    .to_owned(),
                mend: MEND_UNPROVEN.into(),
            });
        }
        if let Some(damage) = tail.damage(&wal) {
            self.note_damage(wal, damage);
        }
        let cut = cut_in_page(path).map_err(|source| OpenError::Io {
            path: path.to_owned(),
            source,
        })?;
        if let Some(length) = cut {
            self.note_damage(path.to_owned(), Damage::of_a_cut_page(length));
        }
        let found = match reader(path) {
            Ok(None) => return Ok(false),
            Ok(Some(_readable)) => records(path),
            Err(error) => Err(error),
        };
        match found {
            Ok(records) => self.judge(path, records),
            Err(newer @ OpenError::Newer { .. }) => return Err(newer),
            Err(error) => self.note(Finding {
                is_damage: true,
                file: path.to_owned(),
                what: error.to_string(),
                lost: "it cannot be said what".to_owned(),
                mend: MEND_JOURNAL.into(),
            }),
        }
        Ok(true)
    }

    fn judge(&mut self, path: &Path, records: Records) {
        self.states = records.states;
        self.is_copy = records.is_copy;
        if self.is_copy {
            self.note(Finding {
                is_damage: false,
                file: path.to_owned(),
                what: "it was copied from another place".to_owned(),
                lost:
                    "what was accepted, started and ended since, if a hub went on with the original"
                        .to_owned(),
                mend: format!("{}; a hub refuses it until then", how_to_adopt(path)).into(),
            });
        }
        if let Some(ids) = records.given_up {
            self.note(Finding {
                is_damage: false,
                file: path.to_owned(),
                what: "events were changed on the disk while they waited".to_owned(),
                lost: format!("what these events were; none was run: {ids}"),
                mend: MEND_EVENTS.into(),
            });
        }
        let wrong = records.wrong.into_iter().map(|(what, lost)| Finding {
            is_damage: true,
            file: path.to_owned(),
            what,
            lost,
            mend: MEND_JOURNAL.into(),
        });
        self.findings.extend(wrong);
    }

    fn look_at_logs(&mut self, dir: &Path) {
        for (file, what) in unreadable_days(dir) {
            self.note(Finding {
                is_damage: true,
                lost: "log lines of invocations that were accepted on this day (UTC)".to_owned(),
                file,
                what,
                mend: MEND_LOGS.into(),
            });
        }
    }
}

/// The first complaints of SQLite's own check of a database.
pub(crate) fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut check = connection.prepare("PRAGMA integrity_check(10)")?;
    let lines = check.query_map([], |row| row.get::<_, String>(0))?;
    let lines = lines.collect::<rusqlite::Result<Vec<_>>>()?;
    Ok(lines.into_iter().filter(|line| line != "ok").collect())
}
