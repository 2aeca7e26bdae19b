//! What is durable: the journal of invocations, and the log store. Both behind traits, on SQLite for use and in
//! memory for tests.
//!
//! `DESIGN.md` beside this crate tells the schema, what is durable when, and how a crash is recovered from.

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
    Accepted, Health, Journal, NewInvocation, Page, Portion, Purged, Query, Retention, SHORT_RUN,
};
pub use log_store::{LogStore, MAX_READ_BYTES, NewLine};
pub use logs::{MemoryLogStore, SqliteLogStore};
pub use memory::MemoryJournal;
pub use sqlite::{Copied, JournalOptions, SqliteJournal, WriterTask};
