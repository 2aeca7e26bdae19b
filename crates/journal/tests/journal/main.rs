//! The contract that every journal keeps, and what the SQLite one keeps beyond it: files, locks, faults.

#![expect(clippy::unwrap_used, reason = "in tests that is how to fail")]

mod contract;
mod copies;
mod damage;
mod disk;
mod faults;
mod support;
