//! Inputs out of other inputs, by chance: bytes changed, cut, repeated, and pieces of two put together. The same seed
//! gives the same inputs.

/// The longest input that is made, in bytes.
const MAX_BYTES: usize = 16 << 10;

/// Pieces that readers stumble over.
const PIECES: [&[u8]; 24] = [
    b"\0",
    b"\n\n",
    b"\r\n",
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"=",
    b"%",
    b"%00",
    b"%ff",
    b"\\u0000",
    b"\\ud800",
    b"\xff\xfe",
    b"\xe2\x80\xae",
    b"null",
    b"-1",
    b"18446744073709551616",
    b"1e400",
    b"9999-12-31T23:59:59Z",
];

/// Makes inputs.
#[derive(Debug)]
pub struct Mutator {
    state: u64,
}

// === impl Mutator ===

impl Mutator {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// One input out of `inputs`; not too far from it, or readers would refuse it at its first byte.
    pub fn next(&mut self, inputs: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = self.pick(inputs).cloned().unwrap_or_default();
        for _ in 0..=self.below(4) {
            self.change(&mut bytes, inputs);
        }
        bytes.truncate(MAX_BYTES);
        bytes
    }

    fn change(&mut self, bytes: &mut Vec<u8>, inputs: &[Vec<u8>]) {
        let from = self.below(bytes.len() + 1);
        let to = (from + self.below(16)).min(bytes.len());
        match self.below(8) {
            0 if from < bytes.len() => bytes[from] ^= 1 << self.below(8),
            1 if from < bytes.len() => bytes[from] = self.below(256).to_le_bytes()[0],
            2 => drop(bytes.drain(from..to)),
            3 => bytes.truncate(from),
            4 => {
                let again = bytes[from..to].repeat(1 + self.below(64));
                bytes.splice(from..from, again);
            }
            5 => {
                let other = self.pick(inputs).cloned().unwrap_or_default();
                let start = self.below(other.len() + 1);
                let end = (start + self.below(64)).min(other.len());
                bytes.splice(from..to, other[start..end].iter().copied());
            }
            _ => {
                let piece = self.pick(&PIECES).copied().unwrap_or_default();
                bytes.splice(from..to, piece.iter().copied());
            }
        }
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        from.get(self.below(from.len().max(1)))
    }

    /// A number under `bound`, which is not zero (splitmix64).
    fn below(&mut self, bound: usize) -> usize {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.state;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let bits = usize::try_from((bits ^ (bits >> 31)) >> 1).unwrap_or_default();
        bits % bound
    }
}
