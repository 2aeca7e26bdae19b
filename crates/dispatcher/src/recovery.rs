//! What a new life of the hub does with what the last one left. In small steps, so that a million open records take
//! no memory; and before anything can be accepted or started.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tripline_journal::{Journal, JournalError, Query};
use tripline_model::{
    Clock, End, Function, FunctionName, Invocation, InvocationState, RequestId, Timestamp,
    TriggerName,
};
use tripline_runtime::Runtime;

/// Invocations ended in one step.
const BATCH_SIZE: usize = 1000;

/// Lost runs that the hub's log names; how many there were it says in any case.
const MOST_NAMED: usize = 100;

/// What there is to do after a recovery.
#[derive(Default)]
pub(crate) struct Recovered {
    /// How much work waits for each function.
    pub(crate) queued: HashMap<FunctionName, u64>,
    /// How many runs of each function were found lost.
    pub(crate) lost: HashMap<FunctionName, u64>,
    /// Runs that are still held and have no end yet, without their data.
    pub(crate) resumed: Vec<(Invocation, Arc<dyn Runtime>)>,
    /// Runs that are still held and of which nothing more is to be known.
    pub(crate) over: Vec<(RequestId, FunctionName, Arc<dyn Runtime>)>,
}

/// An event that the life before accepted.
pub(crate) struct Recent {
    /// When, at the latest.
    pub(crate) at: Timestamp,
    pub(crate) function: FunctionName,
    pub(crate) trigger: Option<TriggerName>,
}

/// Settles what earlier lives left, and returns what there is to do.
///
/// - A changed execution mode of a known function is refused before anything is changed.
/// - What was running and is held by its runtime goes on, unless its record is damaged.
/// - Everything else that was running is `lost`: its start is on disk and its end is not, so it may have run, and is not
///   run again.
/// - What is held and has ended, or is not known, is over.
/// - What waits for a function that is gone is `cancelled`.
/// - What else waits will be started, for the first time.
pub(crate) async fn recover(
    journal: &dyn Journal,
    functions: &[Function],
    runtimes: &[Arc<dyn Runtime>],
    clock: &dyn Clock,
) -> Result<Recovered, JournalError> {
    let known = functions
        .iter()
        .map(|one| (one.name.clone(), one.execution));
    let known: Vec<_> = known.collect();
    journal.register_functions(&known).await?;

    let mut recovered = Recovered::default();
    // Two runtimes may know of the same run, because they share an executor: it is taken up once.
    let held = runtimes.iter().flat_map(|runtime| {
        let held = runtime.held().into_iter();
        held.map(move |one| (one.request_id, (one.function, runtime)))
    });
    let held: BTreeMap<_, _> = held.collect();
    for (id, (function, runtime)) in held {
        match going_on_as(journal, id, clock).await? {
            Some(invocation) => recovered.resumed.push((invocation, runtime.clone())),
            None => recovered.over.push((id, function, runtime.clone())),
        }
    }
    let going_on = recovered.resumed.iter().map(|(one, _)| one.request_id);
    let going_on: Arc<HashSet<_>> = Arc::new(going_on.collect());
    let before = lost_so_far(journal).await?;
    let lost = lose_the_rest(journal, &going_on, clock).await?;
    for (function, count) in lost_so_far(journal).await? {
        let new = count - before.get(&function).copied().unwrap_or(0);
        recovered.lost.insert(function, new);
    }
    recovered.queued = journal.queue_lengths().await?.into_iter().collect();
    cancel_for_removed_functions(journal, functions, &mut recovered.queued, clock).await?;
    let queued: u64 = recovered.queued.values().sum();
    let (resumed, over) = (recovered.resumed.len(), recovered.over.len());
    tracing::info!(lost, resumed, over, queued, "recovered");
    Ok(recovered)
}

/// What was accepted in the last second, by the wall clock, the oldest first: it counts for the limits of this life,
/// too. No more than the hub's limit `qps` is read, which is all that a clock that was set back leaves of it.
pub(crate) async fn just_accepted(
    journal: &dyn Journal,
    qps: NonZeroU32,
    clock: &dyn Clock,
) -> Result<Vec<Recent>, JournalError> {
    let mut query = Query {
        since: Some(clock.now().minus(Duration::from_secs(1))),
        limit: BATCH_SIZE,
        ..Query::default()
    };
    let mut recent = Vec::new();
    loop {
        let page = journal.list(&query).await?;
        recent.extend(page.invocations.into_iter().map(|one| Recent {
            // The time is cut to whole milliseconds.
            at: one.accepted_at.plus(Duration::from_millis(1)),
            function: one.function,
            trigger: one.trigger,
        }));
        query.before = page.next;
        if page.next.is_none() || recent.len() >= qps.get() as usize {
            break;
        }
    }
    recent.reverse();
    Ok(recent)
}

/// How many records of each function say that a run was lost.
async fn lost_so_far(journal: &dyn Journal) -> Result<HashMap<FunctionName, u64>, JournalError> {
    let counts = journal.counts().await?.into_iter();
    let lost = counts.filter(|(_, state, _)| *state == InvocationState::Ended(End::Lost));
    Ok(lost.map(|(function, _, count)| (function, count)).collect())
}

async fn lose_the_rest(
    journal: &dyn Journal,
    going_on: &Arc<HashSet<RequestId>>,
    clock: &dyn Clock,
) -> Result<usize, JournalError> {
    let mut lost = 0;
    loop {
        let step = journal.lose_running(clock.now(), "hub_restarted", going_on, BATCH_SIZE);
        let ids = step.await?;
        if ids.is_empty() {
            return Ok(lost);
        }
        for id in ids.iter().take(MOST_NAMED.saturating_sub(lost)) {
            tracing::warn!(request_id = %id, "lost: it was running, and nothing holds it any more");
        }
        lost += ids.len();
    }
}

/// The invocation of a held run, if its end is still to come.
async fn going_on_as(
    journal: &dyn Journal,
    id: RequestId,
    clock: &dyn Clock,
) -> Result<Option<Invocation>, JournalError> {
    let mut invocation = match journal.get(id).await {
        Ok(Some(invocation)) => invocation,
        Ok(None) => {
            tracing::warn!(request_id = %id, "a run that the journal does not know is ended");
            return Ok(None);
        }
        Err(error @ JournalError::Damaged(_)) => {
            tracing::error!(request_id = %id, %error, "a run whose record is damaged is ended");
            do_not_start(journal, id, clock).await?;
            return Ok(None);
        }
        Err(error) => return Err(error),
    };
    match invocation.state {
        InvocationState::Ended(_) => return Ok(None),
        InvocationState::Running => {}
        InvocationState::Accepted => {
            // It is running, whatever the journal says (an old copy of it?): it must not be started again.
            let now = clock.now();
            journal.start(id, now).await?;
            invocation.state = InvocationState::Running;
            invocation.started_at = Some(now);
        }
    }
    invocation.event.data = None;
    Ok(Some(invocation))
}

/// What was run must not be started, also if its damaged record waits and proves to be whole later.
async fn do_not_start(
    journal: &dyn Journal,
    id: RequestId,
    clock: &dyn Clock,
) -> Result<(), JournalError> {
    match journal.start(id, clock.now()).await {
        // It does not wait, or cannot be started.
        Err(JournalError::Illegal(_) | JournalError::NotFound(_) | JournalError::Damaged(_)) => {
            Ok(())
        }
        other => other,
    }
}

async fn cancel_for_removed_functions(
    journal: &dyn Journal,
    functions: &[Function],
    queued: &mut HashMap<FunctionName, u64>,
    clock: &dyn Clock,
) -> Result<(), JournalError> {
    let gone = |name: &&FunctionName| !functions.iter().any(|one| one.name == **name);
    let gone: Vec<_> = queued.keys().filter(gone).cloned().collect();
    for name in gone {
        tracing::warn!(function = %name, "the function is gone; what waited for it is cancelled");
        while !journal
            .cancel_all(&name, clock.now(), "function_removed", BATCH_SIZE)
            .await?
            .is_empty()
        {}
        queued.remove(&name);
    }
    Ok(())
}
