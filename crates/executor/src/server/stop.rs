//! Telling a run what happens to it, from outside of it.

use tokio::sync::watch;

use crate::protocol::{Credentials, StopHow};

/// The end that tells. Only the latest keys matter, and the hardest stop, so nothing queues up.
#[derive(Debug)]
pub(super) struct Orders {
    stop: watch::Sender<Option<StopHow>>,
    keys: watch::Sender<Option<Credentials>>,
}

/// The end that listens.
#[derive(Debug)]
pub(super) struct Orderly {
    stop: watch::Receiver<Option<StopHow>>,
    keys: watch::Receiver<Option<Credentials>>,
}

/// Something a run is told.
#[derive(Debug)]
pub(super) enum Order {
    Stop(StopHow),
    Renew(Credentials),
}

/// Both ends.
pub(super) fn orders() -> (Orders, Orderly) {
    let (stop, stopped) = watch::channel(None);
    let (keys, renewed) = watch::channel(None);
    let listens = Orderly {
        stop: stopped,
        keys: renewed,
    };
    (Orders { stop, keys }, listens)
}

// === impl Orders ===

impl Orders {
    /// Asks to stop. A kill overrides a polite request; nothing overrides a kill.
    pub(super) fn stop(&self, how: StopHow) {
        self.stop.send_if_modified(|now| {
            let changes = match (&*now, &how) {
                (None, _) | (Some(StopHow::Polite), StopHow::Kill(_)) => true,
                (Some(StopHow::Polite), StopHow::Polite) | (Some(StopHow::Kill(_)), _) => false,
            };
            if changes {
                *now = Some(how);
            }
            changes
        });
    }

    /// Hands over new keys.
    pub(super) fn renew(&self, credentials: Credentials) {
        self.keys.send_replace(Some(credentials));
    }
}

// === impl Orderly ===

impl Orderly {
    /// Takes the request to stop that was made so far, so that `next` waits for a later one.
    pub(super) fn take_stop(&mut self) -> Option<StopHow> {
        self.stop.borrow_and_update().clone()
    }

    /// Waits for a request to stop that was not seen yet, and leaves keys for later; for ever if nobody can ask any more.
    pub(super) async fn stopped(&mut self) -> StopHow {
        loop {
            if self.stop.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
            if let Some(how) = self.take_stop() {
                return how;
            }
        }
    }

    /// Waits for an order that was not seen yet; for ever if nobody can give one any more.
    pub(super) async fn next(&mut self) -> Order {
        loop {
            tokio::select! {
                biased;
                Ok(()) = self.stop.changed() => {
                    if let Some(how) = self.stop.borrow_and_update().clone() {
                        return Order::Stop(how);
                    }
                }
                Ok(()) = self.keys.changed() => {
                    if let Some(keys) = self.keys.borrow_and_update().clone() {
                        return Order::Renew(keys);
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
        let (orders, mut run) = orders();
        orders.stop(StopHow::Polite);
        assert_eq!(run.take_stop(), Some(StopHow::Polite));
        orders.stop(StopHow::Kill("terminated".into()));
        orders.stop(StopHow::Polite);
        orders.stop(StopHow::Kill("hub_stopped".into()));
        let Order::Stop(how) = run.next().await else {
            panic!("nobody renewed anything");
        };
        assert_eq!(how, StopHow::Kill("terminated".into()));
    }
}
