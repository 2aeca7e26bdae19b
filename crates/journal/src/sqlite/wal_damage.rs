//! Looks for damage in the write-ahead log (WAL), which it reads as SQLite does
//! (<https://sqlite.org/fileformat2.html#walformat>). SQLite itself reads the WAL up to the first frame that is not
//! whole, and silently drops what comes after. That may be a transaction that was never finished, or many that were.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::checkpoint_note;
use super::wal_index::{self, WalIndex};

const HEADER_BYTES: usize = 32;
const FRAME_HEADER_BYTES: usize = 24;
/// The largest page that SQLite supports.
const MAX_PAGE_BYTES: u32 = 65_536;

/// Salts that differ in more bits than this are those of another WAL, not changed by accident.
const MAX_CHANGED_SALT_BITS: u32 = 3;

/// How a WAL ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With a whole frame, or it is empty.
    Whole,
    /// In the middle of a transaction; the first `at` bytes are whole transactions.
    Torn { at: u64 },
    /// Whole transactions follow a frame that is not whole. Callers were told that they are kept, but SQLite does not
    /// read them.
    Damaged { at: u64, transactions: u64 },
    /// Too early: there were more whole transactions, and callers were told about them.
    Short {
        /// Frames of whole transactions that are left.
        whole: u32,
        /// Frames of whole transactions that there were.
        of: u32,
        /// How many of those frames are in the database, too.
        checkpointed: u32,
    },
}

/// What is known of a WAL before anybody opens it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct WalState {
    pub(crate) tail: Tail,
    /// How many whole transactions it has, if nothing shows that there were no more.
    pub(crate) unproven: Option<u64>,
}

/// SQLite's checksum over words, in the byte order of the machine that wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Checksum {
    pub(super) values: (u32, u32),
    big_endian: bool,
}

/// What is in a WAL.
#[derive(Debug, PartialEq, Eq)]
struct Wal {
    /// Its salts, which tell it from earlier WALs; `None` if SQLite would find nothing in it.
    salts: Option<[u8; 8]>,
    /// Frames of whole transactions.
    whole: u32,
    /// The same without the last of them.
    whole_before: u32,
    /// How many whole transactions there are.
    transactions: u64,
    tail: Tail,
}

/// The header of a WAL.
struct Header {
    salts: [u8; 8],
    page: usize,
    sum: Checksum,
}

/// How the WAL of this database ends, compared with what its index says. Only for when no connection is open.
pub(crate) fn wal_state(database: &Path) -> io::Result<WalState> {
    let wal = match File::open(beside(database, "-wal")) {
        Ok(file) => Wal::read(BufReader::with_capacity(1 << 18, file))?,
        Err(error) if error.kind() == ErrorKind::NotFound => Wal::EMPTY,
        Err(error) => return Err(error),
    };
    let index = wal_index::read(database)?;
    let tail = match &index {
        Some(index) if wal.lacks(index) => {
            let is_gone = wal.salts.is_some() || checkpoint_note::is_older_than(database, index)?;
            if is_gone { wal.short(index) } else { wal.tail }
        }
        _ => wal.tail,
    };
    let is_proven = wal == Wal::EMPTY
        || matches!(tail, Tail::Damaged { .. } | Tail::Short { .. })
        || index.is_some_and(|index| wal.is_proven_by(&index))
        || checkpoint_note::is_of(database, wal.salts, wal.whole)?;
    let unproven = (!is_proven).then_some(wal.transactions);
    Ok(WalState { tail, unproven })
}

/// The salts of the WAL; `None` if SQLite finds nothing in it.
pub(super) fn salts(database: &Path) -> io::Result<Option<[u8; 8]>> {
    let mut file = match File::open(beside(database, "-wal")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = [0; HEADER_BYTES];
    let is_there = fill(&mut file, &mut bytes)? && fill(&mut file, &mut [0])?;
    Ok(Header::of(&bytes).filter(|_| is_there).map(|it| it.salts))
}

/// How long the database is, if it ends in the middle of a page, and no WAL has that page. SQLite takes the rest of the
/// page for zeros. A checkpoint that was cut off leaves such a file, but with its WAL. Only for when no connection is open.
pub(crate) fn cut_in_page(database: &Path) -> io::Result<Option<u64>> {
    let mut file = match File::open(database) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut head = [0; 18];
    if !fill(&mut file, &mut head)? || !head.starts_with(b"SQLite format 3\0") {
        return Ok(None);
    }
    let page = match u64::from(u16::from_be_bytes([head[16], head[17]])) {
        1 => u64::from(MAX_PAGE_BYTES),
        bytes => bytes,
    };
    let length = file.metadata()?.len();
    let is_cut = page > 0 && !length.is_multiple_of(page) && salts(database)?.is_none();
    Ok(is_cut.then_some(length))
}

/// The path of one of SQLite's files beside the database.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// How a WAL ends whose frame at `at` is not whole, and whose whole transactions end at `whole`. Frames from before the WAL was restarted have other salts.
fn after(
    header: &Header,
    rest: &mut impl Read,
    mut frame: Vec<u8>,
    (whole, at): (u64, u64),
) -> io::Result<Tail> {
    let ends_ours = |frame: &[u8]| frame[8..16] == header.salts && ends_one(frame);
    // A few bits of this frame's salts may have changed by accident; the salts of another WAL differ in many bits.
    let mut ours = header
        .salts
        .iter()
        .zip(&frame[8..16])
        .map(|(a, b)| (a ^ b).count_ones())
        .sum::<u32>()
        <= MAX_CHANGED_SALT_BITS;
    let bad_ends_one = ours && ends_one(&frame);
    let mut ends = 0;
    while fill(rest, &mut frame)? {
        ours |= frame[8..16] == header.salts;
        ends += u64::from(ends_ours(&frame));
    }
    // The writer waits until a transaction is durable before it begins the next: only the last one may be torn.
    let transactions = ends + u64::from(bad_ends_one);
    Ok(match (transactions, ours) {
        (2.., _) => Tail::Damaged { at, transactions },
        (_, true) => Tail::Torn { at: whole },
        (_, false) => ends_at(whole, at),
    })
}

/// How a WAL ends that nothing of its own follows after `at` bytes, and whose whole transactions end at `whole`.
fn ends_at(whole: u64, at: u64) -> Tail {
    match at > whole {
        true => Tail::Torn { at: whole },
        false => Tail::Whole,
    }
}

/// Whether a transaction ends with this frame.
fn ends_one(frame: &[u8]) -> bool {
    frame[4..8] != [0; 4]
}

/// Fills `bytes`; answers whether there was enough to read.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    Ok(fill_up(from, bytes)? == bytes.len())
}

/// Fills `bytes` as far as there is something to read; answers how far.
fn fill_up(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < bytes.len() {
        match from.read(&mut bytes[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

// === impl Wal ===

impl Wal {
    const EMPTY: Self = Self {
        salts: None,
        whole: 0,
        whole_before: 0,
        transactions: 0,
        tail: Tail::Whole,
    };

    fn read(mut file: impl Read) -> io::Result<Self> {
        let mut bytes = [0; HEADER_BYTES];
        let count = fill_up(&mut file, &mut bytes)?;
        if count == 0 {
            return Ok(Self::EMPTY);
        }
        let mut wal = Self {
            tail: Tail::Torn { at: 0 },
            ..Self::EMPTY
        };
        // Without a whole header SQLite finds nothing in a WAL: it was just being created.
        let Some(header) = Header::of(&bytes).filter(|_| count == HEADER_BYTES) else {
            return Ok(wal);
        };
        wal.salts = Some(header.salts);
        let mut frame = vec![0; FRAME_HEADER_BYTES + header.page];
        let (mut sum, mut at) = (header.sum, HEADER_BYTES as u64);
        let (mut frames, mut whole) = (0, at);
        loop {
            let count = fill_up(&mut file, &mut frame)?;
            if count < frame.len() {
                wal.tail = ends_at(whole, at + count as u64);
                return Ok(wal);
            }
            let next = sum.over_frame(&frame);
            let Some(next) = next.filter(|_| frame[8..16] == header.salts) else {
                wal.tail = after(&header, &mut file, frame, (whole, at))?;
                return Ok(wal);
            };
            sum = next;
            at += frame.len() as u64;
            frames += 1;
            if ends_one(&frame) {
                (wal.whole_before, wal.whole, whole) = (wal.whole, frames, at);
                wal.transactions += 1;
            }
        }
    }

    /// Whether the index shows that there were no more transactions. It is one behind where a hub was killed before it
    /// updated the index, and told nobody of that transaction. It knows of no frames where that was the first transaction
    /// of all, or where the next WAL was about to begin because this one was checkpointed.
    fn is_proven_by(&self, index: &WalIndex) -> bool {
        if self.salts == Some(index.salts) {
            return index.frames >= self.whole_before;
        }
        let follows = |salts: [u8; 8]| word(&index.salts, 0) == word(&salts, 0).wrapping_add(1);
        index.frames == 0 && (self.whole_before == 0 || self.salts.is_some_and(follows))
    }

    /// Whether the index knows of more frames than there are. An index with other salts is about another WAL and says
    /// nothing of this one. If the WAL is empty, its frames may be in the database.
    fn lacks(&self, index: &WalIndex) -> bool {
        match self.salts {
            Some(salts) => salts == index.salts && self.whole < index.frames,
            None => index.checkpointed < index.frames,
        }
    }

    fn short(&self, index: &WalIndex) -> Tail {
        match self.tail {
            // This already says how many transactions are lost.
            Tail::Damaged { .. } => self.tail,
            _ => Tail::Short {
                whole: self.whole,
                of: index.frames,
                checkpointed: index.checkpointed,
            },
        }
    }
}

// === impl Header ===

impl Header {
    fn of(bytes: &[u8; HEADER_BYTES]) -> Option<Self> {
        let magic = word(bytes, 0);
        let page = word(bytes, 8);
        let is_page = page.is_power_of_two() && (512..=MAX_PAGE_BYTES).contains(&page);
        if magic & !1 != 0x377f_0682 || !is_page {
            return None;
        }
        let none = Checksum {
            values: (0, 0),
            big_endian: magic & 1 == 1,
        };
        let sum = none.over(&bytes[..24]);
        let mut salts = [0; 8];
        salts.copy_from_slice(&bytes[16..24]);
        let is_whole = sum.values == (word(bytes, 24), word(bytes, 28));
        is_whole.then_some(Self {
            salts,
            page: usize::try_from(page).ok()?,
            sum,
        })
    }
}

// === impl Checksum ===

impl Checksum {
    /// In the byte order of this machine.
    pub(super) fn native() -> Self {
        Self {
            values: (0, 0),
            big_endian: cfg!(target_endian = "big"),
        }
    }

    pub(super) fn over(self, bytes: &[u8]) -> Self {
        let (mut a, mut b) = self.values;
        let (pairs, _) = bytes.as_chunks::<8>();
        for [p, q, r, s, t, u, v, w] in pairs.iter().copied() {
            let read = |four: [u8; 4]| match self.big_endian {
                true => u32::from_be_bytes(four),
                false => u32::from_le_bytes(four),
            };
            a = a.wrapping_add(read([p, q, r, s])).wrapping_add(b);
            b = b.wrapping_add(read([t, u, v, w])).wrapping_add(a);
        }
        Self {
            values: (a, b),
            ..self
        }
    }

    /// The checksum after a frame; `None` if the frame is not whole.
    fn over_frame(self, frame: &[u8]) -> Option<Self> {
        let next = self.over(&frame[..8]).over(&frame[FRAME_HEADER_BYTES..]);
        (next.values == (word(frame, 16), word(frame, 20))).then_some(next)
    }
}

#[cfg(test)]
mod tests;
