//! A few unpredictable bits without another dependency.

use std::hash::{BuildHasher, RandomState};

/// Sixty-four bits from the keys that the standard library draws for each new hash map.
pub(crate) fn bits() -> u64 {
    RandomState::new().hash_one(0)
}
