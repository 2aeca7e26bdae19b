//! Limits connections, in total and per address, and evicts the one idle longest when all slots are taken.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tripline_model::lock;

use crate::exchange::{Exchanges, Waiting};

/// How often a connection that waits for a slot looks for a victim, even if nothing was signalled.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

/// The slots of one listener.
pub(crate) struct ConnectionSlots {
    /// How many there are.
    max: usize,
    /// How many of them one address may hold.
    max_per_address: usize,
    /// A connection whose request body has been read for less than this is not evicted.
    body_grace: Duration,
    created: Instant,
    taken: Mutex<TakenSlots>,
    /// Signalled when a slot comes free, and when a connection begins to wait for its peer.
    changed: Arc<Notify>,
}

/// A connection's slot. Free again when dropped.
pub(crate) struct Slot {
    slots: Arc<ConnectionSlots>,
    id: u64,
    peer: IpAddr,
    /// How far the connection is with its requests.
    pub(crate) exchanges: Exchanges,
    eviction: Arc<EvictionRequest>,
}

#[derive(Default)]
struct TakenSlots {
    next_id: u64,
    entries: HashMap<u64, SlotEntry>,
    count_by_address: HashMap<IpAddr, usize>,
}

struct SlotEntry {
    peer: IpAddr,
    exchanges: Exchanges,
    eviction: Arc<EvictionRequest>,
}

/// Asks a connection to close and free its slot.
#[derive(Default)]
struct EvictionRequest {
    is_pending: AtomicBool,
    requested: Notify,
}

// === impl ConnectionSlots ===

impl ConnectionSlots {
    /// All free. `max` and `max_per_address` are at least 1.
    pub(crate) fn new(max: usize, max_per_address: usize, body_grace: Duration) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            max_per_address: max_per_address.max(1),
            body_grace,
            created: Instant::now(),
            taken: Mutex::default(),
            changed: Arc::default(),
        })
    }

    /// Waits for a slot for a connection of `peer`. If none is free, asks the connection to close that has waited longest
    /// for its next request, or far too long for the rest of a body. `None` if the address holds as many slots as it may
    /// and all of them are in use.
    pub(crate) async fn acquire(self: &Arc<Self>, peer: IpAddr) -> Option<Slot> {
        let mut has_evicted_own = false;
        loop {
            {
                let mut taken = self.lock();
                let of_address = taken.count_by_address.get(&peer).copied().unwrap_or(0);
                if of_address >= self.max_per_address && !has_evicted_own {
                    self.pick_victim(&taken, Some(peer))?.request();
                    has_evicted_own = true;
                }
                if taken.entries.len() < self.max {
                    return Some(self.occupy(&mut taken, peer));
                }
                // One victim for one new connection: a request that is pending is waited for first.
                if !taken.entries.values().any(|one| one.eviction.is_pending())
                    && let Some(eviction) = self.pick_victim(&taken, None)
                {
                    eviction.request();
                }
            }
            // Nothing signals that a body has taken too long.
            let _ = timeout(RECHECK_INTERVAL, self.changed.notified()).await;
        }
    }

    /// Asks up to `count` connections to close, those first that have waited longest.
    pub(crate) fn evict(&self, count: usize) {
        let taken = self.lock();
        for _ in 0..count {
            match self.pick_victim(&taken, None) {
                Some(eviction) => eviction.request(),
                None => return,
            }
        }
    }

    fn occupy(self: &Arc<Self>, taken: &mut TakenSlots, peer: IpAddr) -> Slot {
        let (exchanges, eviction) = (
            Exchanges::new(self.created, Arc::clone(&self.changed)),
            Arc::<EvictionRequest>::default(),
        );
        let id = taken.next_id;
        taken.next_id += 1;
        *taken.count_by_address.entry(peer).or_default() += 1;
        let entry = SlotEntry {
            peer,
            exchanges: exchanges.clone(),
            eviction: Arc::clone(&eviction),
        };
        taken.entries.insert(id, entry);
        Slot {
            slots: Arc::clone(self),
            id,
            peer,
            exchanges,
            eviction,
        }
    }

    /// The connection that has waited longest, among those of one address if it is given: first those that wait for a
    /// request, then those whose body is past its grace.
    fn pick_victim<'a>(
        &self,
        taken: &'a TakenSlots,
        only: Option<IpAddr>,
    ) -> Option<&'a EvictionRequest> {
        let now = self.created.elapsed();
        let rank = |one: &SlotEntry| match one.exchanges.waiting()? {
            Waiting::ForHead(since) => Some((0, since)),
            Waiting::ForBody(since) if since + self.body_grace <= now => Some((1, since)),
            Waiting::ForBody(_) => None,
        };
        let candidates = taken.entries.values().filter(|one| {
            !one.eviction.is_pending() && only.is_none_or(|address| address == one.peer)
        });
        let waiting = candidates.filter_map(|one| Some((rank(one)?, one)));
        let longest = waiting.min_by_key(|(rank, _)| *rank);
        longest.map(|(_, one)| one.eviction.as_ref())
    }

    fn lock(&self) -> MutexGuard<'_, TakenSlots> {
        lock(&self.taken)
    }
}

// === impl EvictionRequest ===

impl EvictionRequest {
    fn is_pending(&self) -> bool {
        self.is_pending.load(Ordering::Acquire)
    }

    fn request(&self) {
        self.is_pending.store(true, Ordering::Release);
        self.requested.notify_one();
    }
}

// === impl Slot ===

impl Slot {
    /// Completes when another connection needs the slot.
    pub(crate) async fn eviction_requested(&self) {
        self.eviction.requested.notified().await;
    }

    /// A request came in before the eviction: another connection is to be asked.
    pub(crate) fn decline_eviction(&self) {
        self.eviction.is_pending.store(false, Ordering::Release);
        self.slots.changed.notify_one();
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.slots.lock();
        taken.entries.remove(&self.id);
        if let Some(count) = taken.count_by_address.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                taken.count_by_address.remove(&self.peer);
            }
        }
        drop(taken);
        self.slots.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
