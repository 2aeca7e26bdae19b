//! `tripline executor`: the process that owns function processes. The hub starts it; people only meet it in `ps`.

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tripline_executor::server::{self, ServeOptions};

use crate::cli::Exit;
use crate::clock::SystemClock;
use crate::signals::StopSignals;
use crate::{secrets, telemetry};

/// Threads: it moves bytes and waits, and must stay small.
const THREADS: usize = 2;

/// How far functions stand back behind the hub when both want the same processor: it gets about nine tenths, so that
/// callers get their receipts whatever functions compute. What `nice` itself takes by default.
const NICE: i32 = 10;

/// How long what goes on beside may take when all else has ended.
const LAST_WAIT: Duration = Duration::from_secs(1);

/// Runs an executor in its directory until it is not needed any more.
pub(crate) fn execute(dir: PathBuf, id: String, release: String, errors: &mut impl Write) -> Exit {
    // First of all: functions must not get at the terminal of whoever started this, nor at what was left open.
    let left = tripline_executor::leave_session();
    tripline_executor::close_inherited_descriptors();
    telemetry::start_file_log();
    if let Err(error) = left {
        tracing::warn!(%error, "functions may reach the terminal of this session");
    }
    secrets::hide_memory();
    // Before there are threads: each has its own, and passes it on.
    if let Err(error) = rustix::process::nice(NICE) {
        tracing::warn!(%error, "functions run with the priority of the hub");
    }
    match to_the_end(serve(dir, id, release)) {
        Ok(()) => Exit::Done,
        Err(error) => {
            // Into its log file; the hub shows the last lines of it when an executor does not start.
            let _ = writeln!(errors, "error: {error}");
            Exit::Failed
        }
    }
}

/// Tasks that are left have a moment to be dropped, which kills what they run. What still waits for a disk then is left
/// alone: that may take for ever, nothing needs it any more, and a hub sweeps what was not removed.
fn to_the_end(serving: impl Future<Output = Result<(), String>>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|error| error.to_string())?;
    let served = runtime.block_on(serving);
    runtime.shutdown_timeout(LAST_WAIT);
    served
}

async fn serve(dir: PathBuf, id: String, release: String) -> Result<(), String> {
    let mut signals = StopSignals::take().map_err(|error| error.to_string())?;
    let shutdown = CancellationToken::new();
    let options = ServeOptions {
        dir,
        id,
        release,
        clock: Arc::new(SystemClock),
        shutdown: shutdown.clone(),
    };
    let serving = server::serve(options);
    tokio::pin!(serving);
    tokio::select! {
        served = &mut serving => return served.map_err(|error| error.to_string()),
        name = signals.next() => tracing::warn!("{name}: ending every function"),
    }
    shutdown.cancel();
    serving.await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;
    use std::thread;

    use super::*;

    #[test]
    fn the_end_does_not_wait_for_a_disk_that_hangs() {
        let (release, hung) = sync_channel::<()>(0);
        let (sender, receiver) = sync_channel(1);
        let serving = async move {
            let (begin, begun) = tokio::sync::oneshot::channel();
            let hang = move || {
                let _ = begin.send(());
                let _released = hung.recv();
            };
            drop(tokio::task::spawn_blocking(hang));
            begun.await.map_err(|error| error.to_string())
        };
        let life = thread::spawn(move || sender.send(to_the_end(serving)));
        let end = receiver.recv_timeout(Duration::from_secs(10));
        drop(release);
        assert_eq!(end, Ok(Ok(())));
        life.join().unwrap().unwrap();
    }
}
