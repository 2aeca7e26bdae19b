//! What a new life of the hub does with what the last one left. In small steps, so that a million open records take
//! no memory; and before anything can be accepted or started.

use std::collections::HashMap;

use tripline_journal::{Journal, JournalError};
use tripline_model::{Clock, Function, FunctionName};

/// Invocations ended in one step.
const STEP: usize = 1000;

/// Settles the past, and says how much work waits for each function.
///
/// - A changed execution mode of a known function is refused before anything is changed.
/// - What was running is `lost`: its start is on disk and its end is not, so it may have run, and is not run again.
/// - What waits for a function that is gone is `cancelled`.
/// - What else waits will be started, for the first time.
pub(crate) async fn recover(
    journal: &dyn Journal,
    functions: &[Function],
    clock: &dyn Clock,
) -> Result<HashMap<FunctionName, u64>, JournalError> {
    let known = functions
        .iter()
        .map(|one| (one.name.clone(), one.execution));
    let known: Vec<_> = known.collect();
    journal.register_functions(&known).await?;

    let mut lost = 0;
    loop {
        let step = journal
            .lose_running(clock.now(), "hub_restarted", STEP)
            .await?;
        if step.is_empty() {
            break;
        }
        lost += step.len();
    }
    let mut lengths: HashMap<_, _> = journal.queue_lengths().await?.into_iter().collect();
    let gone = |name: &&FunctionName| !functions.iter().any(|one| one.name == **name);
    let gone: Vec<_> = lengths.keys().filter(gone).cloned().collect();
    for name in gone {
        tracing::warn!(function = %name, "the function is gone; what waited for it is cancelled");
        while !journal
            .cancel_all(&name, clock.now(), "function_removed", STEP)
            .await?
            .is_empty()
        {}
        lengths.remove(&name);
    }
    let queued: u64 = lengths.values().sum();
    tracing::info!(lost, queued, "recovered");
    Ok(lengths)
}
