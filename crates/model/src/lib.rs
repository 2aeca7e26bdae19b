//! The types that all crates share: events, functions, invocations and their states; and the ports [`Dispatch`],
//! [`Cursors`] and [`Clock`]. Begin with [`Event`], [`Dispatch`] and [`InvocationState`].
//!
//! Nothing here does I/O, reads a clock or needs an async runtime: time and randomness are passed in. These types
//! are not wire types: the journal and the API have their own and convert by hand.

mod address;
mod clock;
mod contained;
mod cursor;
mod dispatch;
mod ending;
mod error_chain;
mod event;
mod function;
mod id;
mod invocation;
mod log;
mod name;
mod state;
mod sync;
mod trace;

pub use address::{RefusedAddress, check_endpoint, check_target};
pub use clock::{Clock, ManualClock, Timestamp};
pub use contained::{Contained, Panic, contain, contain_call, is_contained};
pub use cursor::{CursorEntry, CursorError, Cursors};
pub use dispatch::{Dispatch, Identity, Offer, Receipt, Rejected, Stopping};
pub use ending::{DAMAGED, Ending, MAYBE_STARTED, NO_ANSWER, NOT_STARTED, OLD_COPY};
pub use error_chain::error_chain;
pub use event::{Event, InvalidEvent, MAX_ATTRIBUTE_BYTES};
pub use function::{Execution, Function};
pub use id::{InvalidRequestId, RequestId};
pub use invocation::Invocation;
pub use log::{LogLine, LogStream};
pub use name::{FunctionName, InvalidName, TriggerName};
pub use state::{End, IllegalTransition, InvocationState, Transition};
pub use sync::lock;
pub use trace::{InvocationTrace, Span, TRACEPARENT, TraceParent};
