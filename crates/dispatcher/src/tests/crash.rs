//! Crashes at random points. A life of the hub runs on an executor of its own; dropping that ends every task where it
//! stands, as `kill -9` does. The journal and the runtime's ledger of starts outlive it.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;
use tripline_journal::{Journal, Portion, Query};
use tripline_model::{Dispatch, End, InvocationState, Offer, Receipt, RequestId};

use super::yielding::{Random, Yielding};
use super::{World, keyed, offer, until};
use crate::DispatcherHandle;

const SEEDS: u64 = 150;
const LIVES: u64 = 4;

/// What the callers were told, over all lives.
#[derive(Default)]
struct Told {
    ids: Vec<RequestId>,
    keys: BTreeMap<String, RequestId>,
}

type Shared = Arc<Mutex<Told>>;

/// How often each interesting crash happened, over all seeds: a test that hits none of them proves nothing.
#[derive(Default)]
struct Hits {
    accepted_not_acknowledged: u32,
    started_not_asked: u32,
    lost_while_running: u32,
    first_start_after_a_crash: u32,
    went_on_after_a_crash: u32,
}

#[test]
fn nothing_runs_twice_and_nothing_accepted_is_lost() {
    let mut hits = Hits::default();
    for seed in 0..SEEDS {
        // Shown when the test fails.
        println!("seed {seed}");
        let mut world = World::new();
        // In every second world the runs outlive the hub.
        let outlives = seed % 2 == 0;
        world.runtime.outlives.store(outlives, Ordering::SeqCst);
        world.functions[0].concurrency = 3.try_into().unwrap();
        let (acknowledged, mut random) = (Shared::default(), Random::new(seed));
        for life in 0..LIVES {
            let journal = Arc::new(Yielding::new(world.journal.clone(), seed * 10 + life));
            let executor = executor();
            executor.block_on(a_life(&world, journal, &mut random, &acknowledged));
            drop(executor);
            world.runtime.release.forget_permits(usize::MAX);
        }
        let waiting = executor().block_on(waiting(&world));
        let going_on: Vec<_> = world.runtime.runs.lock().unwrap().keys().copied().collect();
        executor().block_on(a_last_life(&world));
        executor().block_on(check(&world, &acknowledged, &waiting, &mut hits));
        executor().block_on(check_held(&world, &going_on, &mut hits));
    }
    assert!(
        hits.accepted_not_acknowledged > 10,
        "{}",
        hits.accepted_not_acknowledged
    );
    assert!(hits.started_not_asked > 10, "{}", hits.started_not_asked);
    assert!(hits.lost_while_running > 10, "{}", hits.lost_while_running);
    assert!(
        hits.first_start_after_a_crash > 10,
        "{}",
        hits.first_start_after_a_crash
    );
    assert!(
        hits.went_on_after_a_crash > 10,
        "{}",
        hits.went_on_after_a_crash
    );
}

fn executor() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().start_paused(true).build().unwrap()
}

/// Offers, stops and lets go at random, and returns at a random moment.
async fn a_life(world: &World, journal: Arc<Yielding>, random: &mut Random, acknowledged: &Shared) {
    let dispatcher = world.start_over(journal).await;
    let handle = dispatcher.handle();
    let mut callers = JoinSet::new();
    for _ in 0..random.below(40) {
        match random.below(8) {
            0..=3 => {
                callers.spawn(call(
                    handle.clone(),
                    any_offer(random),
                    acknowledged.clone(),
                ));
            }
            4 => {
                let offers = (0..1 + random.below(5))
                    .map(|_| any_offer(random))
                    .collect();
                let (handle, acknowledged) = (handle.clone(), acknowledged.clone());
                callers.spawn(async move {
                    for receipt in handle.dispatch_all(offers).await.into_iter().flatten() {
                        note(&acknowledged, None, receipt);
                    }
                });
            }
            5 => {
                let ids = acknowledged.lock().unwrap().ids.clone();
                if let Some(id) = ids.get(random.below(30) as usize).copied() {
                    let (handle, grace) = (handle.clone(), random.below(2) == 0);
                    callers.spawn(async move {
                        let _ = handle.terminate(id, grace).await;
                    });
                }
            }
            _ => world.runtime.release.add_permits(1),
        }
        for _ in 0..random.below(12) {
            tokio::task::yield_now().await;
        }
    }
}

fn any_offer(random: &mut Random) -> Offer {
    let kind = ["ok", "ok", "fail", "held", "polite", "refuse"][random.below(6) as usize];
    match random.below(3) {
        0 => keyed(kind, &format!("key-{}", random.below(6))),
        _ => offer(kind),
    }
}

async fn call(handle: DispatcherHandle, offer: Offer, acknowledged: Shared) {
    let key = match &offer.identity {
        tripline_model::Identity::Key { key, .. } => Some(key.clone()),
        _ => None,
    };
    if let Ok(receipt) = handle.try_dispatch(offer).await {
        note(&acknowledged, key, receipt);
    }
}

/// A caller has its receipt. The same key always gets the same id, in whatever life.
fn note(acknowledged: &Shared, key: Option<String>, receipt: Receipt) {
    let id = receipt.request_id().unwrap();
    let mut acknowledged = acknowledged.lock().unwrap();
    acknowledged.ids.push(id);
    if let Some(key) = key {
        assert_eq!(*acknowledged.keys.entry(key).or_insert(id), id);
    }
}

/// What waits for its first start after the last crash.
async fn waiting(world: &World) -> Vec<RequestId> {
    let name = &world.functions[0].name;
    let none = Arc::default();
    let waiting = world.journal.queued(name, &none, Portion::ALL);
    let waiting = waiting.await.unwrap().invocations;
    waiting.into_iter().map(|one| one.request_id).collect()
}

/// A life without a crash, in which everything comes to its end.
async fn a_last_life(world: &World) {
    let dispatcher = world.start().await;
    let handle = dispatcher.handle();
    world.runtime.release.add_permits(10_000);
    until(async || {
        let counts = world.journal.counts().await.unwrap();
        for (_, state, _) in &counts {
            if *state == InvocationState::Running {
                stop_all(world, &handle).await;
            }
        }
        counts.iter().all(|(_, state, _)| state.is_end())
    })
    .await;
    assert_eq!(handle.queue_len(), 0);
    dispatcher.shutdown().await;
}

/// Ends those runs that only end when they are asked to.
async fn stop_all(world: &World, handle: &DispatcherHandle) {
    let state = Some(InvocationState::Running);
    let page = world
        .journal
        .list(&Query {
            state,
            ..Query::default()
        })
        .await
        .unwrap();
    for one in page.invocations {
        if one.event.kind == "polite" {
            let _ = handle.terminate(one.request_id, true).await;
        }
    }
}

async fn check(world: &World, acknowledged: &Shared, waiting: &[RequestId], hits: &mut Hits) {
    let acknowledged = acknowledged.lock().unwrap().ids.clone();
    let query = Query {
        limit: 1000,
        ..Query::default()
    };
    let page = world.journal.list(&query).await.unwrap();
    assert!(page.next.is_none());
    let records: HashMap<_, _> = page
        .invocations
        .iter()
        .map(|one| (one.request_id, one))
        .collect();
    for id in &acknowledged {
        assert!(
            records.contains_key(id),
            "{id} was handed out and is not known"
        );
    }
    for id in world.runtime.starts.lock().unwrap().keys() {
        assert!(records.contains_key(id), "{id} ran and was never accepted");
    }
    for (id, record) in records {
        let InvocationState::Ended(end) = record.state else {
            panic!("{id} has no end: {}", record.state);
        };
        let started = world.runtime.started(id);
        match end {
            End::Cancelled | End::Expired => assert_eq!(started, 0, "{id} ran, and is {end:?}"),
            End::Lost => {
                assert!(started <= 1, "{id} was started {started} times");
                let outlives = world.runtime.outlives.load(Ordering::SeqCst);
                assert!(!outlives || started == 0, "{id} was held, and is lost");
                hits.started_not_asked += u32::from(started == 0);
                hits.lost_while_running += u32::from(started == 1);
            }
            // A kill that was asked for between the record and the runtime's start leaves nothing started.
            End::Terminated => assert!(started <= 1, "{id} was started {started} times"),
            End::Succeeded | End::Failed | End::TimedOut => {
                assert_eq!(
                    started, 1,
                    "{id} was started {started} times, and is {end:?}"
                );
            }
        }
        hits.accepted_not_acknowledged += u32::from(!acknowledged.contains(&id));
        hits.first_start_after_a_crash += u32::from(waiting.contains(&id) && started == 1);
    }
}

/// What went on after the last crash came to an end of its own, and nothing is held any more.
async fn check_held(world: &World, going_on: &[RequestId], hits: &mut Hits) {
    for id in going_on {
        let record = Journal::get(world.journal.as_ref(), *id).await;
        let record = record.unwrap().unwrap();
        let lost = InvocationState::Ended(End::Lost);
        assert_ne!(record.state, lost, "{id} was held, and is lost");
        hits.went_on_after_a_crash += 1;
    }
    assert!(world.runtime.runs.lock().unwrap().is_empty());
}
