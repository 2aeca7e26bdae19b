//! What is durable: the journal of invocations, and the log store. Both are traits, with an implementation on SQLite and
//! one in memory for tests.
//!
//! `DESIGN.md` beside this crate describes the schema, what is durable when, and how the hub recovers from a crash.

mod damage;
mod error;
mod inspect;
mod journal;
mod log_store;
mod logs;
mod memory;
mod sqlite;

pub use error::{JournalError, LogError, OpenError};
pub use inspect::{Finding, Inspection, KnownFunction, inspect, known_functions, would_open};
pub use journal::{
    Accepted, Health, Journal, NewInvocation, Page, Portion, Purged, Query, Queued, Retention,
    SHORT_RUN, Settled,
};
pub use log_store::{LogStore, MAX_READ_BYTES, NewLine};
pub use logs::{MemoryLogStore, SqliteLogStore};
pub use memory::MemoryJournal;
pub use sqlite::{Copied, JournalOptions, SqliteJournal, WriterTask};
