//! Maintains the idle instances of a pool: starts the minimum, ends those that are idle for too long or do not get
//! ready, and replaces those that died.

use std::sync::Arc;

use tokio::time::{Instant, sleep_until};

use super::pool::{Idle, Pool};
use super::warm::{Slot, Warm};

/// Runs until the pool is retired.
pub(super) async fn maintain(pool: Arc<Pool>) {
    loop {
        end_overdue(&pool);
        start_missing(&pool).await;
        let wake = next_check(&pool);
        let sleep = async {
            match wake {
                Some(at) => sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = pool.retired.cancelled() => return,
            () = pool.changed.notified() => {}
            () = sleep => {}
        }
    }
}

fn end_overdue(pool: &Pool) {
    let now = Instant::now();
    let (unready, unneeded) = {
        let mut state = pool.lock();
        let is_unready =
            |idle: &mut Idle| !idle.warm.event_slot.has_asked() && idle.warm.init_deadline <= now;
        let unready: Vec<Idle> = state.idle.extract_if(.., is_unready).collect();
        // Of the idle ones alone: what else is alive may be about to end.
        let spare = state.idle.len().saturating_sub(pool.min());
        let is_unneeded = |idle: &mut Idle| idle_until(pool, idle) <= now;
        let unneeded = state.idle.extract_if(.., is_unneeded).take(spare);
        let unneeded: Vec<Idle> = unneeded.collect();
        (unready, unneeded)
    };
    for idle in unneeded {
        pool.discard(idle.warm);
    }
    for idle in unready {
        let limit = pool.worker.init_timeout_ms;
        pool.back_off(&format!(
            "an instance did not ask for an event within {limit} ms"
        ));
        pool.discard(idle.warm);
    }
}

async fn start_missing(pool: &Arc<Pool>) {
    while pool.alive() < pool.min() && !pool.retired.is_cancelled() {
        let waits = pool.lock().not_before.is_some_and(|at| Instant::now() < at);
        // With a slot, so that a run that comes meanwhile starts none beyond the maximum.
        let slot = pool.slots.clone().try_acquire_owned();
        let (false, Ok(slot)) = (waits, slot) else {
            return;
        };
        match Warm::launch(pool, None).await {
            Ok(warm) => keep(pool, warm, slot),
            Err(error) => pool.back_off(&error.to_string()),
        }
    }
}

fn keep(pool: &Pool, warm: Warm, slot: Slot) {
    let mut state = pool.lock();
    let unusable = pool.retired.is_cancelled() || warm.event_slot.has_exited();
    if !unusable {
        let since = Instant::now();
        state.idle.push(Idle { warm, since });
        return;
    }
    drop(state);
    if !pool.retired.is_cancelled() {
        pool.back_off("an instance ended as soon as it was started");
    }
    warm.discard(Some(slot));
}

/// When there is something to do without any news.
fn next_check(pool: &Pool) -> Option<Instant> {
    let mut state = pool.lock();
    let spare = state.idle.len() > pool.min();
    let unready = state
        .idle
        .iter()
        .filter(|idle| !idle.warm.event_slot.has_asked());
    let mut times: Vec<Instant> = unready.map(|idle| idle.warm.init_deadline).collect();
    if spare {
        times.extend(state.idle.iter().map(|idle| idle_until(pool, idle)).min());
    }
    if pool.alive() < pool.min() {
        times.extend(state.not_before);
    }
    let wake = times.into_iter().min();
    state.next_check = wake;
    wake
}

fn idle_until(pool: &Pool, idle: &Idle) -> Instant {
    idle.since + pool.idle_timeout()
}
