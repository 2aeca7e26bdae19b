//! Chance that can be repeated.

/// A small generator (splitmix64).
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.throw().to_le_bytes()[0]
    }

    /// A number from `from` to below `to`, which is more.
    pub(crate) fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.throw() % (to - from)
    }

    /// Puts `all` into an order that nobody foresees.
    pub(crate) fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            let other = self.between(0, last as u64 + 1);
            all.swap(last, usize::try_from(other).unwrap_or(0));
        }
    }
}
