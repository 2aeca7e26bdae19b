//! Asking a run to stop, from outside of it.

use tokio::sync::watch;
use tripline_executor::protocol::StopHow;

/// How a run is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It is asked to end, and nothing more: it may go on to its own end.
    Graceful,
    /// Now; the word becomes the reason of the ending.
    Kill(&'static str),
}

/// Requests that a run stops.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Stop>>);

/// The run's end of its [`Stopper`].
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<Option<Stop>>);

/// A stopper and its signal.
pub fn stop_channel() -> (Stopper, StopSignal) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), StopSignal(receiver))
}

// === impl Stop ===

impl From<Stop> for StopHow {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Graceful => Self::Graceful,
            Stop::Kill(reason) => Self::Kill(reason.to_owned()),
        }
    }
}

// === impl Stopper ===

impl Stopper {
    /// Requests a stop, unless an earlier request stands (see [`StopHow::is_overridden_by`]).
    pub fn stop(&self, how: Stop) {
        self.0.send_if_modified(|now| {
            let changes = now.is_none_or(|now| StopHow::from(now).is_overridden_by(&how.into()));
            if changes {
                *now = Some(how);
            }
            changes
        });
    }
}

// === impl StopSignal ===

impl StopSignal {
    /// What was asked so far.
    pub fn asked(&self) -> Option<Stop> {
        *self.0.borrow()
    }

    /// Waits for a request that was not seen yet; for ever if the stopper is gone.
    pub async fn next(&mut self) -> Stop {
        loop {
            if self.0.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(stop) = *self.0.borrow_and_update() {
                return stop;
            }
        }
    }
}
