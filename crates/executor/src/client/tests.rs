//! The hub's side against an executor that follows a script, over real sockets; and with real processes.

mod death;
mod find;
mod inbox;
mod launch;

mod real;
mod rejoin;
mod runs;
mod scripted;
mod table;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

use tokio::sync::oneshot;
use tripline_model::{ManualClock, RequestId, Timestamp};

use self::scripted::{Peer, Scripted};
use super::{Client, Executors, ExecutorsConfig};
use crate::protocol::{HeldRun, LineHead, Outcome, RunEnd, Start};

/// The hub's release in tests.
const RELEASE: &str = "2.0.0";

/// How long anything in these tests may take.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// A program that is not there: a test that does not expect a new executor sees its start fail.
const NO_PROGRAM: &str = "/nonexistent/tripline";

fn config(data_dir: &Path) -> ExecutorsConfig {
    ExecutorsConfig {
        data_dir: data_dir.to_owned(),
        program: PathBuf::from(NO_PROGRAM),
        release: RELEASE.to_owned(),
        clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_764_000_000_123))),
    }
}

/// A hub with one executor of its release, which holds `runs`.
async fn joined(data_dir: &Path, runs: Vec<HeldRun>) -> (Executors, Client, Scripted, Peer) {
    let scripted = Scripted::new(data_dir);
    let (executors, peer) = tokio::join!(
        Executors::start(config(data_dir)),
        scripted.welcome(RELEASE, runs)
    );
    let executors = executors.unwrap();
    let client = executors.client();
    (executors, client, scripted, peer)
}

fn id(number: u8) -> RequestId {
    RequestId::new(Timestamp::from_millis(1), [number; 10])
}

fn held(number: u8, ended: bool) -> HeldRun {
    HeldRun {
        run: id(number).to_string(),
        function: "f".to_owned(),
        ended,
    }
}

fn start(number: u8) -> Start {
    Start {
        run: id(number).to_string(),
        function: "f".to_owned(),
        variables: [("K".to_owned(), "v".to_owned())].into(),
        remarks: Vec::new(),
        credentials: None,
        timeout_ms: 60_000,
        grace_ms: 1_000,
        deadline_ms: 61_000,
        max_result_bytes: 1 << 20,
        max_log_bytes: 1 << 20,
    }
}

fn outcome() -> Outcome {
    Outcome {
        end: RunEnd::Succeeded,
        reason: "exit_code".to_owned(),
        detail: None,
        at_ms: 9,
        duration_ms: 8,
        peak_memory_bytes: None,
        memory_limit_bytes: None,
        exit_code: Some(0),
        signal: None,
        result_cut: false,
    }
}

fn head(text: &str) -> LineHead {
    LineHead {
        stream: "stdout".to_owned(),
        at_ms: 7,
        len: u32::try_from(text.len()).unwrap(),
        complete: true,
    }
}

/// Fails the test when something takes too long, by the real clock: a paused one runs on as fast as it can while processes
/// and locks are waited for, which take their real time.
async fn soon<T>(work: impl Future<Output = T>) -> T {
    let (done, still_waiting) = std::sync::mpsc::sync_channel::<()>(0);
    let (late, deadline) = oneshot::channel();
    std::thread::spawn(move || {
        if still_waiting.recv_timeout(TEST_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            let _ = late.send(());
        }
    });
    let outcome = tokio::select! {
        outcome = work => outcome,
        Ok(()) = deadline => panic!("it should have happened by now"),
    };
    drop(done);
    outcome
}
