//! Who may be in: places for connections, in all and of one address, and who gives his up when a newcomer finds none.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use crate::turns::{Turns, Waits};

/// How often a newcomer looks for a place by himself.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// The places of one listener.
pub(crate) struct Places {
    /// How many there are.
    max: usize,
    /// How many of them one address may have.
    per_address: usize,
    /// A body that is being read for less than this keeps its place whoever comes.
    patience: Duration,
    born: Instant,
    taken: Mutex<Taken>,
    /// A place came free, or somebody began to wait.
    changed: Arc<Notify>,
}

/// A connection's place. Free again when dropped.
pub(crate) struct Seat {
    places: Arc<Places>,
    id: u64,
    peer: IpAddr,
    /// How far the connection is with its requests.
    pub(crate) turns: Turns,
    wish: Arc<Wish>,
}

#[derive(Default)]
struct Taken {
    next_id: u64,
    seats: HashMap<u64, Sitting>,
    of_address: HashMap<IpAddr, usize>,
}

struct Sitting {
    peer: IpAddr,
    turns: Turns,
    wish: Arc<Wish>,
}

/// That a connection gives its place up.
#[derive(Default)]
struct Wish {
    is_open: AtomicBool,
    told: Notify,
}

// === impl Places ===

impl Places {
    /// All free. `max` and `per_address` are at least 1.
    pub(crate) fn new(max: usize, per_address: usize, patience: Duration) -> Arc<Self> {
        Arc::new(Self {
            max: max.max(1),
            per_address: per_address.max(1),
            patience,
            born: Instant::now(),
            taken: Mutex::default(),
            changed: Arc::default(),
        })
    }

    /// A place for a connection of `peer`, waited for if need be: whoever has waited longest for the next request, or
    /// far too long for the rest of a body, goes for it. `None` if the address has all its places and uses them.
    pub(crate) async fn take(self: &Arc<Self>, peer: IpAddr) -> Option<Seat> {
        let mut may_be_one_more = false;
        loop {
            {
                let mut taken = self.lock();
                let of_address = taken.of_address.get(&peer).copied().unwrap_or(0);
                if of_address >= self.per_address && !may_be_one_more {
                    self.who_goes(&taken, Some(peer))?.tell();
                    may_be_one_more = true;
                }
                if taken.seats.len() < self.max {
                    return Some(self.seat(&mut taken, peer));
                }
                // One newcomer, one place: who was asked for it already is waited for.
                if !taken.seats.values().any(|one| one.wish.is_open())
                    && let Some(wish) = self.who_goes(&taken, None)
                {
                    wish.tell();
                }
            }
            // That a body takes far too long is told by no one.
            let _ = timeout(LOOK_AGAIN, self.changed.notified()).await;
        }
    }

    /// Asks so many to go, those first that have waited longest.
    pub(crate) fn make_room(&self, count: usize) {
        let taken = self.lock();
        for _ in 0..count {
            match self.who_goes(&taken, None) {
                Some(wish) => wish.tell(),
                None => return,
            }
        }
    }

    fn seat(self: &Arc<Self>, taken: &mut Taken, peer: IpAddr) -> Seat {
        let (turns, wish) = (
            Turns::new(self.born, Arc::clone(&self.changed)),
            Arc::<Wish>::default(),
        );
        let id = taken.next_id;
        taken.next_id += 1;
        *taken.of_address.entry(peer).or_default() += 1;
        let sitting = Sitting {
            peer,
            turns: turns.clone(),
            wish: Arc::clone(&wish),
        };
        taken.seats.insert(id, sitting);
        Seat {
            places: Arc::clone(self),
            id,
            peer,
            turns,
            wish,
        }
    }

    /// Who has waited longest, among those of one address if it is given.
    fn who_goes<'a>(&self, taken: &'a Taken, only: Option<IpAddr>) -> Option<&'a Wish> {
        let now = self.born.elapsed();
        let rank = |one: &Sitting| match one.turns.waits()? {
            Waits::ForHead(since) => Some((0, since)),
            Waits::ForBody(since) if since + self.patience <= now => Some((1, since)),
            Waits::ForBody(_) => None,
        };
        let of_those = taken
            .seats
            .values()
            .filter(|one| !one.wish.is_open() && only.is_none_or(|address| address == one.peer));
        let waiting = of_those.filter_map(|one| Some((rank(one)?, one)));
        let longest = waiting.min_by_key(|(rank, _)| *rank);
        longest.map(|(_, one)| one.wish.as_ref())
    }

    fn lock(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Wish ===

impl Wish {
    fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    fn tell(&self) {
        self.is_open.store(true, Ordering::Release);
        self.told.notify_one();
    }
}

// === impl Seat ===

impl Seat {
    /// Comes when somebody else needs the place.
    pub(crate) async fn asked_to_leave(&self) {
        self.wish.told.notified().await;
    }

    /// A request came before the wish was heard: somebody else is to be asked.
    pub(crate) fn stays(&self) {
        self.wish.is_open.store(false, Ordering::Release);
        self.places.changed.notify_one();
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.places.lock();
        taken.seats.remove(&self.id);
        if let Some(count) = taken.of_address.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                taken.of_address.remove(&self.peer);
            }
        }
        drop(taken);
        self.places.changed.notify_one();
    }
}

#[cfg(test)]
mod tests;
