//! What a crash left of the write-ahead log, read as SQLite reads it (<https://sqlite.org/fileformat2.html#walformat>).
//! SQLite itself takes the log up to the first frame that is not whole, and says nothing of what comes after: that may be
//! a transaction that was never finished, or many that were.

use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

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
}

/// Checksum of SQLite, over words in the byte order of the machine that wrote them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Sum {
    values: (u32, u32),
    big_endian: bool,
}

/// What the log says of itself.
struct Header {
    salts: [u8; 8],
    page: usize,
    sum: Sum,
}

/// Looks at the log of this database.
pub(crate) fn look(database: &Path) -> io::Result<Tail> {
    let mut path = database.as_os_str().to_owned();
    path.push("-wal");
    match File::open(Path::new(&path)) {
        Ok(file) => tail(BufReader::with_capacity(1 << 18, file)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Tail::Whole),
        Err(error) => Err(error),
    }
}

fn tail(mut log: impl Read) -> io::Result<Tail> {
    let mut bytes = [0; HEADER];
    if !fill(&mut log, &mut bytes)? {
        return Ok(Tail::Whole);
    }
    // A log without a head has nothing in it for SQLite: it was being begun.
    let Some(header) = Header::of(&bytes) else {
        return Ok(Tail::Torn { at: 0 });
    };
    let mut frame = vec![0; FRAME_HEADER + header.page];
    let (mut sum, mut at) = (header.sum, HEADER as u64);
    while fill(&mut log, &mut frame)? {
        match sum
            .over_frame(&frame)
            .filter(|_| frame[8..16] == header.salts)
        {
            Some(next) => sum = next,
            None => return after(&header, &mut log, frame, at),
        }
        at += frame.len() as u64;
    }
    Ok(Tail::Whole)
}

/// What comes after the first frame that is not whole. What was there before the log was begun anew has other salts.
fn after(header: &Header, log: &mut impl Read, mut frame: Vec<u8>, at: u64) -> io::Result<Tail> {
    let ends_one = |frame: &[u8]| frame[8..16] == header.salts && frame[4..8] != [0; 4];
    // Of the frame that is not whole a bit of the salts may have changed; those of another log differ in many.
    let mut ours = header
        .salts
        .iter()
        .zip(&frame[8..16])
        .map(|(a, b)| (a ^ b).count_ones())
        .sum::<u32>()
        <= FEW_BITS;
    let bad_ends_one = ours && frame[4..8] != [0; 4];
    let mut ends = 0;
    while fill(log, &mut frame)? {
        ours |= frame[8..16] == header.salts;
        ends += u64::from(ends_one(&frame));
    }
    // The writer waits for each transaction to be durable: at most the last one may be torn, its end included.
    let transactions = ends + u64::from(bad_ends_one);
    Ok(match (transactions, ours) {
        (2.., _) => Tail::Damaged { at, transactions },
        (_, true) => Tail::Torn { at },
        (_, false) => Tail::Whole,
    })
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
    fn over(self, bytes: &[u8]) -> Self {
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
