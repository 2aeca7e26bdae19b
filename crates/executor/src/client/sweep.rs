//! Clearing away what an executor left that died: its function processes, then its folder.

use std::fs::File;
use std::time::Duration;

use super::find::{Folder, blocking};
use crate::{isolation, process};

/// Rounds of looking for leftovers: processes that fork while they are being killed need more than one.
const MAX_KILL_ROUNDS: u32 = 100;

/// Time for killed processes to disappear before the next round.
const KILL_ROUND: Duration = Duration::from_millis(10);

/// Time before what could not be ended is tried again.
const SWEEP_RETRY_DELAY: Duration = Duration::from_secs(5);

/// Ends everything that a dead executor left and removes its folder. Returns what could not be ended, for people: then
/// the folder stays, so that the next sweep finds it. `_lock` keeps anybody from coming to life there meanwhile.
pub(super) async fn sweep(folder: &Folder, _lock: Option<&File>) -> Option<String> {
    let path = folder.path.clone();
    let groups = blocking(move || isolation::sweep(&path)).await;
    match end_marked(format!("TRIPLINE_EXECUTOR={}", folder.id)).await {
        0 => {}
        1 => return Some("1 process of it cannot be killed".to_owned()),
        left => return Some(format!("{left} processes of it cannot be killed")),
    }
    if let Err(error) = groups {
        return Some(format!("its control groups cannot be emptied: {error}"));
    }
    let path = folder.path.clone();
    if let Err(error) = blocking(move || process::remove_tree(&path)).await {
        let path = folder.path.display();
        tracing::warn!(%path, %error, "the folder of a dead executor could not be removed");
    }
    None
}

/// Sweeps again and again until nothing is left.
pub(super) async fn sweep_on(folder: &Folder, lock: Option<&File>) {
    loop {
        tokio::time::sleep(SWEEP_RETRY_DELAY).await;
        if sweep(folder, lock).await.is_none() {
            tracing::info!(executor = %folder.id, "nothing is left of a dead executor any more");
            return;
        }
    }
}

/// Kills every process whose environment holds the variable `mark` (`NAME=value`), again until none is left or the
/// rounds are over. Returns how many are left.
async fn end_marked(mark: String) -> usize {
    let mut left = 0;
    for _ in 0..MAX_KILL_ROUNDS {
        let mark = mark.clone();
        let search = blocking(move || process::kill_marked(mark.as_bytes()));
        left = match search.await {
            Ok(0) => return 0,
            Ok(found) => found,
            Err(error) => {
                tracing::warn!(%error, "processes cannot be listed");
                1
            }
        };
        tokio::time::sleep(KILL_ROUND).await;
    }
    left
}
