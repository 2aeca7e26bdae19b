//! Where RequestIds are minted; nowhere else.

use std::time::Duration;

use tripline_model::{RequestId, Timestamp};

/// Ten random bytes each time it is called, from a good source.
pub type Entropy = Box<dyn FnMut() -> [u8; 10] + Send>;

/// The random bits of a UUID version 7.
const BITS: u32 = 74;

/// Mints ids that only grow, also within a millisecond and when the clock is set back.
pub(crate) struct Mint {
    entropy: Entropy,
    at: Timestamp,
    /// The random part of the last id.
    low: u128,
}

// === impl Mint ===

impl Mint {
    pub(crate) fn new(entropy: Entropy) -> Self {
        Self {
            entropy,
            at: Timestamp::from_millis(0),
            low: 0,
        }
    }

    /// The next id.
    pub(crate) fn next(&mut self, now: Timestamp) -> RequestId {
        let random = (self.entropy)()
            .iter()
            .fold(0_u128, |sum, byte| (sum << 8) | u128::from(*byte));
        if now > self.at {
            self.at = now;
            // The top bit stays free, so that there is room to count.
            self.low = random & ((1 << (BITS - 1)) - 1);
        } else {
            // A step of random size: the next id cannot be guessed from this one.
            self.low += 1 + (random & u128::from(u32::MAX));
            if self.low >> BITS != 0 {
                self.at = self.at.plus(Duration::from_millis(1));
                self.low &= (1 << (BITS - 1)) - 1;
            }
        }
        RequestId::new(self.at, spread(self.low))
    }
}

/// Places 74 bits around the version and variant bits: 12 in the first two bytes, 62 in the others.
fn spread(low: u128) -> [u8; 10] {
    let high = u16::try_from(low >> 62 & 0xfff).expect("twelve bits");
    let rest = u64::try_from(low & ((1 << 62) - 1)).expect("62 bits");
    let mut bytes = [0; 10];
    bytes[..2].copy_from_slice(&high.to_be_bytes());
    bytes[2..].copy_from_slice(&rest.to_be_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_whatever_the_clock_and_the_random_bytes_do() {
        for byte in [0, 0x5a, 0xff] {
            let mut mint = Mint::new(Box::new(move || [byte; 10]));
            let mut last = mint.next(Timestamp::from_millis(1000));
            for now in [1000, 1000, 999, 5, 1001, 1001, 1000, 2000] {
                for _ in 0..100 {
                    let id = mint.next(Timestamp::from_millis(now));
                    assert!(id > last, "{id} after {last}");
                    assert_eq!(id.to_string().parse(), Ok(id));
                    last = id;
                }
            }
        }
    }

    #[test]
    fn a_full_millisecond_runs_over_into_the_next() {
        let mut mint = Mint::new(Box::new(|| [0xff; 10]));
        let now = Timestamp::from_millis(1000);
        let first = mint.next(now);
        mint.low = (1 << BITS) - 1;
        let next = mint.next(now);
        assert!(next > first && next.timestamp() == Timestamp::from_millis(1001));
    }
}
