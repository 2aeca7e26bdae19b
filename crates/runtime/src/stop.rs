//! Asking a run to stop, from outside of it.

use tokio::sync::watch;

/// How a run is to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Politely, and nothing more: the run may go on to its own end.
    Polite,
    /// Now; the word becomes the reason of the ending.
    Kill(&'static str),
}

/// The end that asks.
#[derive(Debug)]
pub struct Stopper(watch::Sender<Option<Stop>>);

/// The end that listens.
#[derive(Debug, Clone)]
pub struct StopSignal(watch::Receiver<Option<Stop>>);

/// A stopper and its signal.
pub fn stop_channel() -> (Stopper, StopSignal) {
    let (sender, receiver) = watch::channel(None);
    (Stopper(sender), StopSignal(receiver))
}

// === impl Stopper ===

impl Stopper {
    /// Asks to stop. A kill overrides a polite request; nothing overrides a kill.
    pub fn stop(&self, how: Stop) {
        self.0.send_if_modified(|now| {
            let changes = match (*now, how) {
                (None, _) | (Some(Stop::Polite), Stop::Kill(_)) => true,
                (Some(Stop::Polite), Stop::Polite) | (Some(Stop::Kill(_)), _) => false,
            };
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
