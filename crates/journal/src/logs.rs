//! The log stores, and what they have in common: numbering, the limit, and followers.

mod day;
mod followers;
mod memory;
mod sqlite;
mod sync;
mod tally;
mod writer;

pub use memory::MemoryLogStore;
pub use sqlite::SqliteLogStore;

pub(crate) use day::unreadable_days;
