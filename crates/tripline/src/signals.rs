//! SIGTERM and Ctrl-C: the first drains, the second ends at once. SIGHUP stops nothing but what runs in a terminal.

use std::io::{self, IsTerminal};

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that stop a hub or an executor.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    /// A terminal that goes away takes along what was started in it.
    in_terminal: bool,
}

impl StopSignals {
    /// From now on these signals no longer end the process by themselves.
    pub(crate) fn take() -> io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self {
            terminate,
            interrupt: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            in_terminal: io::stderr().is_terminal(),
        })
    }

    /// Waits for the next one, and names it.
    pub(crate) async fn next(&mut self) -> &'static str {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return "SIGTERM",
                _ = self.interrupt.recv() => return "SIGINT",
                _ = self.hangup.recv() => {
                    if self.in_terminal {
                        return "SIGHUP";
                    }
                    tracing::info!("SIGHUP changes nothing: the configuration is read at the start");
                }
            }
        }
    }
}
