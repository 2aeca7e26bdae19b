//! What hub and executor say to each other: messages as JSON with one blob of bytes each, in frames with a length.
//!
//! A hub says [`Hello`] first and is [welcomed](FromExecutor::Welcome) or [refused](FromExecutor::Refused). Both name
//! the versions that they speak; the highest common one is spoken. One hub at a time: a new connection replaces the
//! one before. A run goes on without a hub; what it says and how it ends is kept until a hub has taken it.

mod frame;
mod messages;
mod spec;

pub(crate) use frame::read_small_frame;
pub use frame::{FrameError, MAX_FRAME_BYTES, read_frame, write_frame};
pub use messages::{
    FromExecutor, HeldRun, Hello, LineHead, Outcome, Refusal, RunEnd, Start, StopHow, ToExecutor,
    Versions, Welcome,
};
pub use spec::{Credentials, FunctionSpec, Isolation, Kind, Limits, Value, WorkerSpec};

/// The versions of the messages that this build speaks.
pub const VERSIONS: Versions = Versions { from: 1, to: 1 };
