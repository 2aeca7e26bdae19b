//! What is sent with an event: whoever knows its mark knows each byte of it.

use sha2::{Digest, Sha256};

use crate::dice::Dice;

/// Bytes behind the mark, and in how many of 64 events: nothing; less than a page of the journal, and more; more than a
/// pipe holds.
const SIZES: [(usize, u64); 4] = [(0, 39), (200, 16), (9 << 10, 8), (300 << 10, 1)];

/// The mark, then bytes that stand nowhere else, so that none can be left out, doubled or taken from a neighbour unseen.
pub(crate) fn of(mark: &str) -> Vec<u8> {
    let seed = mark.bytes().fold(0, |seed: u64, byte| {
        seed.wrapping_mul(257).wrapping_add(byte.into())
    });
    let mut dice = Dice::new(seed);
    let mut payload = mark.as_bytes().to_owned();
    let end = payload.len() + size(dice.between(0, 64));
    payload.resize_with(end, || dice.byte());
    payload
}

fn size(mut place: u64) -> usize {
    for (size, share) in SIZES {
        match place.checked_sub(share) {
            Some(rest) => place = rest,
            None => return size,
        }
    }
    0
}

/// What a function that got it whole writes down: its digest, as `sha256sum` says it.
pub(crate) fn digest(mark: &str) -> String {
    let digest = Sha256::digest(of(mark));
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What it writes down of an object, whose event has no more of it: its key, and how large it is.
pub(crate) fn of_object(mark: &str) -> String {
    format!("{mark}:{}", of(mark).len())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn events_have_every_size_and_bytes_of_their_own() {
        let marks: Vec<_> = (0..300).map(|n| format!("record-{n}")).collect();
        let sizes = marks.iter().map(|mark| of(mark).len() - mark.len());
        let meant = SIZES.map(|(size, _)| size);
        assert_eq!(sizes.collect::<BTreeSet<_>>(), meant.into());
        let digests: BTreeSet<_> = marks.iter().map(|mark| digest(mark)).collect();
        assert_eq!(digests.len(), marks.len());
        assert!(of("a").starts_with(b"a"));
    }
}
