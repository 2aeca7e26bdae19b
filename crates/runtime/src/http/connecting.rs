//! Whether anything of a request can have gone out. The HTTP client does not say so when it is stopped half way.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

tokio::task_local! {
    /// That of the exchange which the task works on.
    static CONNECTING: Connecting;
}

/// Whether an exchange is on its way to a connection. It says so for certain alone: where nobody could look it does not.
#[derive(Debug, Clone, Default)]
pub(super) struct Connecting(Arc<AtomicBool>);

// === impl Connecting ===

impl Connecting {
    /// Looks on while `exchange` goes on.
    pub(super) async fn watch<T>(&self, exchange: impl Future<Output = T>) -> T {
        CONNECTING.scope(self.clone(), exchange).await
    }

    /// Whether there is no connection so far, so that no byte of the request has gone out.
    pub(super) fn goes_on(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Notes how far `connect` is, which does all up to the end of the TLS handshake.
pub(super) async fn noted<T, E>(connect: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    note(true);
    let connected = connect.await;
    if connected.is_ok() {
        note(false);
    }
    connected
}

fn note(goes_on: bool) {
    // Elsewhere nobody asks.
    let _ = CONNECTING.try_with(|connecting| connecting.0.store(goes_on, Ordering::Relaxed));
}
