//! Requests to a run, from outside of it.

use tokio::sync::watch;

use crate::protocol::{Credentials, StopHow};

/// Sends requests to a run. Only the latest credentials matter, and the hardest stop, so nothing queues up.
#[derive(Debug)]
pub(super) struct RunControl {
    stop: watch::Sender<Option<StopHow>>,
    credentials: watch::Sender<Option<Credentials>>,
}

/// The run's end of its [`RunControl`].
#[derive(Debug)]
pub(super) struct RunControlReceiver {
    stop: watch::Receiver<Option<StopHow>>,
    credentials: watch::Receiver<Option<Credentials>>,
}

/// A request to a run.
#[derive(Debug)]
pub(super) enum ControlEvent {
    Stop(StopHow),
    Renew(Credentials),
}

/// Both ends.
pub(super) fn run_control() -> (RunControl, RunControlReceiver) {
    let (stop, stop_receiver) = watch::channel(None);
    let (credentials, credentials_receiver) = watch::channel(None);
    let receiver = RunControlReceiver {
        stop: stop_receiver,
        credentials: credentials_receiver,
    };
    (RunControl { stop, credentials }, receiver)
}

// === impl RunControl ===

impl RunControl {
    /// Requests a stop, unless an earlier request stands (see [`StopHow::is_overridden_by`]).
    pub(super) fn stop(&self, how: StopHow) {
        self.stop.send_if_modified(|now| {
            let changes = now.as_ref().is_none_or(|now| now.is_overridden_by(&how));
            if changes {
                *now = Some(how);
            }
            changes
        });
    }

    /// Hands over new credentials.
    pub(super) fn renew(&self, credentials: Credentials) {
        self.credentials.send_replace(Some(credentials));
    }
}

// === impl RunControlReceiver ===

impl RunControlReceiver {
    /// Takes the request to stop that was made so far, so that `next` waits for a later one.
    pub(super) fn take_stop(&mut self) -> Option<StopHow> {
        self.stop.borrow_and_update().clone()
    }

    /// Waits for a stop request that was not seen yet, and leaves credentials for later; for ever if none can come any
    /// more.
    pub(super) async fn next_stop(&mut self) -> StopHow {
        loop {
            if self.stop.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(how) = self.take_stop() {
                return how;
            }
        }
    }

    /// Waits for a request that was not seen yet; for ever if none can come any more.
    pub(super) async fn next(&mut self) -> ControlEvent {
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.stop.changed() => {
                    if let Some(how) = self.stop.borrow_and_update().clone() {
                        return ControlEvent::Stop(how);
                    }
                }
                Ok(()) = self.credentials.changed() => {
                    if let Some(credentials) = self.credentials.borrow_and_update().clone() {
                        return ControlEvent::Renew(credentials);
                    }
                }
                else => std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_kill_overrides_and_is_not_overridden() {
        let (control, mut receiver) = run_control();
        control.stop(StopHow::Graceful);
        assert_eq!(receiver.take_stop(), Some(StopHow::Graceful));
        control.stop(StopHow::Kill("terminated".into()));
        control.stop(StopHow::Graceful);
        control.stop(StopHow::Kill("hub_stopped".into()));
        let ControlEvent::Stop(how) = receiver.next().await else {
            panic!("nobody renewed anything");
        };
        assert_eq!(how, StopHow::Kill("terminated".into()));
    }
}
