//! The protocol between hub and executor: messages as JSON with one blob of bytes each, in frames with a length.
//!
//! A hub sends [`Hello`] first and is [welcomed](FromExecutor::Welcome) or [refused](FromExecutor::Refused). Both name
//! their protocol versions; the highest common one is used. One hub at a time: a new connection replaces the
//! one before. A run goes on without a hub; its lines and its end are kept until a hub has taken them.

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

/// The protocol versions of this build.
pub const VERSIONS: Versions = Versions { from: 1, to: 1 };
