//! SIGINT, SIGTERM and SIGHUP become a flag that every wait looks at, so that a job unwinds the
//! ordinary way and each owner ends what it started.

use std::sync::Mutex;
use std::thread;

use nix::sys::signal::{SigSet, Signal};

use crate::failure::{Failure, Outcome};

/// The signals that ask a job to stop.
const ASKING: [Signal; 3] = [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP];

static RECEIVED: Mutex<Vec<Signal>> = Mutex::new(Vec::new());

/// The set of [`ASKING`]; children must unblock it, since a signal mask survives `exec`.
pub(crate) fn asking() -> SigSet {
    ASKING.into_iter().collect()
}

/// From here on the signals are noted, not fatal. To be called before any other thread exists.
pub(crate) fn listen() -> Outcome<()> {
    asking().thread_block()?;
    thread::spawn(|| {
        while let Ok(signal) = asking().wait() {
            RECEIVED
                .lock()
                .expect("nobody panics while holding the list")
                .push(signal);
        }
    });
    Ok(())
}

/// Every signal received so far, oldest first.
pub(crate) fn received() -> Vec<Signal> {
    RECEIVED
        .lock()
        .expect("nobody panics while holding the list")
        .clone()
}

/// Fails once a signal has been received.
pub(crate) fn check() -> Outcome<()> {
    match received().first() {
        Some(signal) => Err(Failure::Interrupted(*signal)),
        None => Ok(()),
    }
}
