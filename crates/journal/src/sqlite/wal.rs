//! What a crash left of the write-ahead log, read as SQLite reads it (<https://sqlite.org/fileformat2.html#walformat>).
//! SQLite itself takes the log up to the first frame that is not whole, and says nothing of what comes after: that may be
//! a transaction that was never finished, or many that were.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use super::wal_index::{self, WalIndex};

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;
/// The largest page that SQLite knows, in bytes.
const MAX_PAGE: u32 = 65_536;

/// Bits of the salts that may have changed by accident.
const FEW_BITS: u32 = 3;

/// How a log ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// With a whole frame, or without any.
    Whole,
    /// In the middle of its last transaction, which nobody was told of; so many bytes are whole.
    Torn { at: u64 },
    /// Whole transactions come after a frame that is not: what was told as kept is not read any more.
    Damaged { at: u64, transactions: u64 },
    /// Too soon: it had more whole transactions, of which people were told.
    Short {
        /// Frames of whole transactions that are there.
        whole: u32,
        /// Frames that were there.
        of: u32,
        /// Frames of them that are in the database as well.
        moved: u32,
    },
}

/// Checksum of SQLite, over words in the byte order of the machine that wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sum {
    pub(super) values: (u32, u32),
    big_endian: bool,
}

/// What is in a log.
#[derive(Debug, PartialEq, Eq)]
struct Log {
    /// Which one it is; none, if SQLite would find nothing in it.
    salts: Option<[u8; 8]>,
    /// Frames of whole transactions.
    whole: u32,
    tail: Tail,
}

/// What the log says of itself.
struct Header {
    salts: [u8; 8],
    page: usize,
    sum: Sum,
}

/// Looks at the log of this database, and at what the index of it says. For when no connection is open.
pub(crate) fn look(database: &Path) -> io::Result<Tail> {
    let log = match File::open(beside(database, "-wal")) {
        Ok(file) => Log::read(BufReader::with_capacity(1 << 18, file))?,
        Err(error) if error.kind() == ErrorKind::NotFound => Log::EMPTY,
        Err(error) => return Err(error),
    };
    match wal_index::read(database)? {
        Some(index) if log.lacks(&index) => {
            let is_gone = log.salts.is_some() || wal_index::is_later(database, &index)?;
            Ok(if is_gone {
                log.is_short(&index)
            } else {
                log.tail
            })
        }
        _ => Ok(log.tail),
    }
}

/// Which log there is now; none, if SQLite finds nothing in it.
pub(super) fn salts(database: &Path) -> io::Result<Option<[u8; 8]>> {
    let mut file = match File::open(beside(database, "-wal")) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut bytes = [0; HEADER];
    let is_there = fill(&mut file, &mut bytes)? && fill(&mut file, &mut [0])?;
    Ok(Header::of(&bytes).filter(|_| is_there).map(|it| it.salts))
}

/// A file of SQLite's beside the database.
pub(super) fn beside(database: &Path, suffix: &str) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// What comes after the first frame that is not whole. What was there before the log was begun anew has other salts.
fn after(header: &Header, log: &mut impl Read, mut frame: Vec<u8>, at: u64) -> io::Result<Tail> {
    let ends_ours = |frame: &[u8]| frame[8..16] == header.salts && ends_one(frame);
    // Of the frame that is not whole a bit of the salts may have changed; those of another log differ in many.
    let mut ours = header
        .salts
        .iter()
        .zip(&frame[8..16])
        .map(|(a, b)| (a ^ b).count_ones())
        .sum::<u32>()
        <= FEW_BITS;
    let bad_ends_one = ours && ends_one(&frame);
    let mut ends = 0;
    while fill(log, &mut frame)? {
        ours |= frame[8..16] == header.salts;
        ends += u64::from(ends_ours(&frame));
    }
    // The writer waits for each transaction to be durable: at most the last one may be torn, its end included.
    let transactions = ends + u64::from(bad_ends_one);
    Ok(match (transactions, ours) {
        (2.., _) => Tail::Damaged { at, transactions },
        (_, true) => Tail::Torn { at },
        (_, false) => Tail::Whole,
    })
}

/// Whether a transaction ends with this frame.
fn ends_one(frame: &[u8]) -> bool {
    frame[4..8] != [0; 4]
}

/// Whether there were as many bytes.
fn fill(from: &mut impl Read, bytes: &mut [u8]) -> io::Result<bool> {
    match from.read_exact(bytes) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_be_bytes(word)
}

// === impl Log ===

impl Log {
    const EMPTY: Self = Self {
        salts: None,
        whole: 0,
        tail: Tail::Whole,
    };

    fn read(mut log: impl Read) -> io::Result<Self> {
        let mut bytes = [0; HEADER];
        if !fill(&mut log, &mut bytes)? {
            return Ok(Self::EMPTY);
        }
        // A log without a head has nothing in it for SQLite: it was being begun.
        let Some(header) = Header::of(&bytes) else {
            let tail = Tail::Torn { at: 0 };
            return Ok(Self {
                tail,
                ..Self::EMPTY
            });
        };
        let mut frame = vec![0; FRAME_HEADER + header.page];
        let (mut sum, mut at) = (header.sum, HEADER as u64);
        let (mut frames, mut whole) = (0, 0);
        let mut tail = Tail::Whole;
        while fill(&mut log, &mut frame)? {
            let next = sum.over_frame(&frame);
            let Some(next) = next.filter(|_| frame[8..16] == header.salts) else {
                tail = after(&header, &mut log, frame, at)?;
                break;
            };
            sum = next;
            at += frame.len() as u64;
            frames += 1;
            if ends_one(&frame) {
                whole = frames;
            }
        }
        Ok(Self {
            salts: Some(header.salts),
            whole,
            tail,
        })
    }

    /// Whether it had more in it. Of a log that was begun anew the index says nothing; where there is none, what it tells of
    /// may be in the file.
    fn lacks(&self, index: &WalIndex) -> bool {
        match self.salts {
            Some(salts) => salts == index.salts && self.whole < index.frames,
            None => index.moved < index.frames,
        }
    }

    fn is_short(&self, index: &WalIndex) -> Tail {
        match self.tail {
            // That says how many transactions there are.
            Tail::Damaged { .. } => self.tail,
            _ => Tail::Short {
                whole: self.whole,
                of: index.frames,
                moved: index.moved,
            },
        }
    }
}

// === impl Header ===

impl Header {
    fn of(bytes: &[u8; HEADER]) -> Option<Self> {
        let magic = word(bytes, 0);
        let page = word(bytes, 8);
        let is_page = page.is_power_of_two() && (512..=MAX_PAGE).contains(&page);
        if magic & !1 != 0x377f_0682 || !is_page {
            return None;
        }
        let none = Sum {
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

// === impl Sum ===

impl Sum {
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

    /// The sum that goes on after a frame; none, if the frame is not whole.
    fn over_frame(self, frame: &[u8]) -> Option<Self> {
        let next = self.over(&frame[..8]).over(&frame[FRAME_HEADER..]);
        (next.values == (word(frame, 16), word(frame, 20))).then_some(next)
    }
}

#[cfg(test)]
mod tests;
