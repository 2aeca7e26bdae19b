//! The way of every event through the hub: it is admitted, made durable, started at most once, and its end is recorded.
//!
//! [`Dispatcher`] owns every task and is kept by the binary; [`DispatcherHandle`] is what triggers and the API hold.
//! Why nothing can be started twice, crash point by crash point, is written in `DESIGN.md` beside this crate.
//!
//! | step | file |
//! |---|---|
//! | may it come in: rules, places in the queue, limits | `admission`, `limiter`, `queue` |
//! | pull sources wait their turn | `pull` |
//! | it becomes durable and gets its RequestId | `commit`, `ids` |
//! | it waits, in memory and in the journal | `queue`, `feeder`, `expiry` |
//! | it is started | `invocation` |
//! | it runs and ends, and nothing of it is left | `run`, `output`, `slots` |
//! | after a restart | `recovery`, `resume` |
//! | how many are in which state | `counts` |

mod admission;
mod commit;
mod counts;
mod dispatcher;
mod expiry;
mod feeder;
mod handle;
mod ids;
mod invocation;
mod lane;
mod limiter;
mod output;
mod pull;
mod push;
mod queue;
mod recovery;
mod resume;
mod run;
mod settings;
mod shared;
mod slots;
mod status;
mod terminate;
#[cfg(test)]
mod tests;
mod waiters;

pub use dispatcher::{Dispatcher, DispatcherError, DispatcherParts};
pub use handle::DispatcherHandle;
pub use ids::Entropy;
pub use settings::DispatcherConfig;
pub use status::FunctionStatus;
pub use terminate::{TerminateError, TerminateOutcome};
