//! A disk in memory that knows what is durable and what is only in the page cache.

mod cut;

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::path::Path;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use crate::fate::{Effect, Fate};

/// A write that was not synced.
#[derive(Debug, Clone)]
enum Change {
    Write { at: usize, data: Vec<u8> },
    Cut { to: usize },
}

/// What is in a file, whatever its name.
#[derive(Debug, Clone, Default)]
struct Content {
    /// What a power cut leaves in any case.
    kept: Vec<u8>,
    /// What is read.
    seen: Vec<u8>,
    /// What leads from `kept` to `seen`.
    pending: Vec<Change>,
}

/// What a disk does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Flaws {
    /// A sync changes nothing.
    pub(crate) ignores_sync: bool,
    /// Names stay undurable.
    pub(crate) ignores_names: bool,
    /// Whoever meets a failed sync tries once more, and is then told that all is well.
    pub(crate) repeats_failed_sync: bool,
}

/// Which file, for as long as it is known.
pub(crate) type FileId = usize;

/// An operation that did not work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DiskError {
    /// The life of its user is over.
    Dead,
    /// The system could not write what it held, and has dropped it.
    SyncFailed,
}

/// See the module.
pub(crate) struct Disk {
    fate: Arc<Fate>,
    files: Vec<Content>,
    /// Names as they are seen, and as a power cut leaves them.
    names: BTreeMap<&'static str, FileId>,
    kept_names: BTreeMap<&'static str, FileId>,
    flaws: Flaws,
    /// How many more syncs work before one fails.
    syncs_left: Option<u64>,
    /// The log's length is shown here, because the journal asks the system for it.
    mirror: Option<File>,
}

/// What a formatted disk holds.
#[derive(Clone)]
pub(crate) struct Image {
    files: Vec<Content>,
    names: BTreeMap<&'static str, FileId>,
}

/// The log's length is shown about as exactly as this, in bytes; exactly when a life is over.
const SHOWN: usize = 64 * 1024;

const LOG: &str = "journal.db-wal";

/// The names there can be: what is asked for under another one is a bug here.
const NAMES: [&str; 3] = ["journal.db", LOG, "journal.db-journal"];

impl Disk {
    /// An empty one, whose folder is `dir`.
    pub(crate) fn new(fate: Arc<Fate>, dir: &Path, flaws: Flaws) -> Self {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(false);
        Self {
            fate,
            files: Vec::new(),
            names: BTreeMap::new(),
            kept_names: BTreeMap::new(),
            flaws,
            syncs_left: None,
            mirror: options.open(dir.join(LOG)).ok(),
        }
    }

    /// What is on it; nothing may be pending.
    pub(crate) fn image(&self) -> Image {
        Image {
            files: self.files.clone(),
            names: self.names.clone(),
        }
    }

    /// Puts an image on an empty disk.
    pub(crate) fn load(&mut self, image: &Image) {
        self.files = image.files.clone();
        self.names = image.names.clone();
        self.kept_names = image.names.clone();
    }

    /// After `left` more syncs that work, one fails.
    pub(crate) fn fail_sync_after(&mut self, left: Option<u64>) {
        self.syncs_left = left;
    }

    /// The name as it is known here, without its folder.
    pub(crate) fn name(path: &str) -> Option<&'static str> {
        NAMES.into_iter().find(|name| path.ends_with(name))
    }

    pub(crate) fn find(&self, name: &'static str) -> Option<FileId> {
        self.names.get(name).copied()
    }

    /// An empty file; without a name it is nobody's effect.
    pub(crate) fn create(&mut self, name: Option<&'static str>) -> FileId {
        self.files.push(Content::default());
        let id = self.files.len() - 1;
        if let Some(name) = name {
            self.names.insert(name, id);
        }
        id
    }

    pub(crate) fn remove(&mut self, name: &'static str) -> Result<bool, DiskError> {
        self.reach(Effect::Remove(name))?;
        Ok(self.names.remove(name).is_some())
    }

    pub(crate) fn len(&self, id: FileId) -> usize {
        self.files[id].seen.len()
    }

    /// Reads what there is; the rest of `into` is zero. Answers how much there was.
    pub(crate) fn read(&self, id: FileId, at: usize, into: &mut [u8]) -> usize {
        let seen = &self.files[id].seen;
        let there = seen.len().saturating_sub(at).min(into.len());
        into[..there].copy_from_slice(&seen[at.min(seen.len())..][..there]);
        into[there..].fill(0);
        there
    }

    pub(crate) fn write(
        &mut self,
        id: FileId,
        name: Option<&'static str>,
        at: usize,
        data: &[u8],
    ) -> Result<(), DiskError> {
        if let Some(name) = name {
            self.reach(Effect::Write(name, at, data.len()))?;
        }
        let change = Change::Write {
            at,
            data: data.to_vec(),
        };
        self.change(id, name, change);
        Ok(())
    }

    pub(crate) fn cut(
        &mut self,
        id: FileId,
        name: Option<&'static str>,
        to: usize,
    ) -> Result<(), DiskError> {
        if let Some(name) = name {
            self.reach(Effect::Cut(name, to))?;
        }
        self.change(id, name, Change::Cut { to });
        Ok(())
    }

    /// Makes a file durable, and with `names` the names, too.
    pub(crate) fn sync(
        &mut self,
        id: FileId,
        name: Option<&'static str>,
        names: bool,
    ) -> Result<(), DiskError> {
        let Some(name) = name else { return Ok(()) };
        self.reach(Effect::Sync(name))?;
        if self.sync_fails() {
            // As Linux does it: the pages count as written and are not, and the next sync says that all is well.
            self.files[id].pending.clear();
            self.fate.note(|| "that sync fails".to_owned());
            if !self.flaws.repeats_failed_sync {
                return Err(DiskError::SyncFailed);
            }
        }
        if !self.flaws.ignores_sync {
            self.files[id].keep();
        }
        if names {
            self.sync_names();
        }
        Ok(())
    }

    pub(crate) fn sync_names(&mut self) {
        if !self.flaws.ignores_names {
            self.kept_names = self.names.clone();
        }
    }

    /// The log is about to be opened by SQLite. The journal writes it over itself before, with the system's own calls;
    /// whether it did is seen by the time of its mirror.
    pub(crate) fn notice_rewrite(&mut self, id: FileId) {
        let changed = |file: &File| file.metadata().and_then(|data| data.modified());
        let rewritten = self.mirror.as_ref().map(changed);
        if matches!(rewritten, Some(Ok(at)) if at != UNIX_EPOCH) {
            let file = &mut self.files[id];
            file.kept = file.seen.clone();
            file.pending.clear();
        }
    }

    /// From here on a change of the log's mirror is somebody else's.
    fn forget_rewrite(&self) {
        if let Some(mirror) = &self.mirror {
            let marked = mirror.set_modified(UNIX_EPOCH);
            marked.expect("a file in a folder of our own can be given a time");
        }
    }

    fn sync_fails(&mut self) -> bool {
        match self.syncs_left {
            Some(0) => {
                self.syncs_left = None;
                true
            }
            Some(left) => {
                self.syncs_left = Some(left - 1);
                false
            }
            None => false,
        }
    }

    fn reach(&self, effect: Effect) -> Result<(), DiskError> {
        self.fate.reach(effect).then_some(()).ok_or(DiskError::Dead)
    }

    fn change(&mut self, id: FileId, name: Option<&'static str>, change: Change) {
        let file = &mut self.files[id];
        let before = file.seen.len();
        change.apply(&mut file.seen);
        if name.is_some() {
            file.pending.push(change);
        }
        let now = file.seen.len();
        if name == Some(LOG) && now / SHOWN != before / SHOWN {
            self.show_log(now);
        }
    }

    fn show_log(&self, length: usize) {
        if let Some(mirror) = &self.mirror {
            let shown = mirror.set_len(length as u64);
            shown.expect("a file in a folder of our own can be given a length");
        }
    }
}

impl Change {
    fn apply(&self, content: &mut Vec<u8>) {
        match self {
            Self::Write { at, data } => {
                if content.len() < at + data.len() {
                    content.resize(at + data.len(), 0);
                }
                content[*at..at + data.len()].copy_from_slice(data);
            }
            Self::Cut { to } => content.resize(*to, 0),
        }
    }
}

impl Content {
    fn keep(&mut self) {
        for change in self.pending.drain(..) {
            change.apply(&mut self.kept);
        }
    }
}
