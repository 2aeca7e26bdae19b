//! The one sleep of all timers: at an instant it hands over every tick that is due then.
//!
//! If each of a thousand timers woke, made its offer and went on, the last one's tick would be late by the work of all.
//! So they leave their offers here ahead of time, and the instant itself has nothing but the hand-over to do.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{BoxFuture, FutureExt, join_all};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::spawn_blocking;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_model::{Clock, Offer, Receipt, Rejected, Timestamp};
use tripline_trigger::TriggerContext;

use crate::event::stamp;

/// The longest sleep without a look at the wall clock, should the heartbeat fail.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);

/// The pause between a hand-over and its timer's work on the answer: everything due at the same instant goes before.
const AFTERWARDS: Duration = Duration::from_millis(20);

/// How long before an instant its wait goes on by looks at the clock.
const LAST_STRETCH: Duration = Duration::from_millis(12);

/// The time between two such looks, and how many there are at most.
const LOOK: Duration = Duration::from_micros(100);
const LOOKS: usize = 150;

/// Ticks in one task. More would leave other cores idle, fewer cost more than they gain.
const TOGETHER: usize = 125;

/// A tick that waits for its instant, which is the time of its event.
pub(crate) struct Armed {
    /// Whose it is.
    pub(crate) cx: TriggerContext,
    /// What is handed over.
    pub(crate) offer: Offer,
    /// If it cannot be handed over within this time of its instant, it is let go without an answer.
    pub(crate) grace: Duration,
    /// If the dispatcher has no answer within this time of the instant, none is waited for.
    pub(crate) deadline: Duration,
    /// Where the answer goes. Whoever drops the other end withdraws the tick.
    pub(crate) rung: oneshot::Sender<Rung>,
}

/// A tick that was handed over, and its answer.
pub(crate) struct Rung {
    /// When it was.
    pub(crate) at: Timestamp,
    /// The dispatcher's answer; `None` if it took too long.
    pub(crate) answer: Option<Answer>,
}

/// The dispatcher's answer to a tick.
pub(crate) struct Answer {
    /// When it did.
    pub(crate) at: Timestamp,
    /// What it was.
    pub(crate) result: Result<Receipt, Rejected>,
}

/// A hand-over that has nothing left to do but itself.
struct Ready {
    hand_over: BoxFuture<'static, ()>,
    /// Cancelled when the tick is withdrawn.
    shutdown: CancellationToken,
}

/// Hands over what is armed until nobody is left who could arm anything.
pub(crate) async fn ring(
    mut armed: mpsc::Receiver<Armed>,
    mut beats: watch::Receiver<()>,
    clock: Arc<dyn Clock>,
) {
    let mut waiting: BTreeMap<Timestamp, Vec<Ready>> = BTreeMap::new();
    let handed_over = TaskTracker::new();
    loop {
        let now = clock.now();
        while let Some(due) = waiting.first_entry().filter(|first| *first.key() <= now) {
            let mut due = due.remove();
            while !due.is_empty() {
                let others = due.split_off(due.len().min(TOGETHER));
                handed_over.spawn(hand_over_all(due));
                due = others;
            }
        }
        let look_again = now.plus(LONGEST_SLEEP);
        let next = waiting.keys().next().copied();
        let until = next.map_or(look_again, |next| next.min(look_again));
        let is_over = tokio::select! {
            () = wait_until(until, &clock) => false,
            () = arm(&mut armed, &mut waiting, until) => armed.is_closed(),
            () = beat(&mut beats) => {
                forget_withdrawn(&mut waiting);
                false
            }
        };
        if is_over {
            break;
        }
    }
    handed_over.close();
    handed_over.wait().await;
}

/// Takes ticks in until one is due before `until`, or none can come any more.
async fn arm(
    armed: &mut mpsc::Receiver<Armed>,
    waiting: &mut BTreeMap<Timestamp, Vec<Ready>>,
    until: Timestamp,
) {
    while let Some(tick) = armed.recv().await {
        let at = tick.offer.event.time;
        waiting.entry(at).or_default().push(tick.ready());
        if at < until {
            return;
        }
    }
}

fn forget_withdrawn(waiting: &mut BTreeMap<Timestamp, Vec<Ready>>) {
    waiting.retain(|_, ticks| {
        ticks.retain(|tick| !tick.shutdown.is_cancelled());
        !ticks.is_empty()
    });
}

/// Waits until the clock shows `at`, or for about as long. The runtime's sleep may be 3 ms too long, because it and
/// the clock count in whole milliseconds; a thread's is not, so that one sees to the end of the wait.
async fn wait_until(at: Timestamp, clock: &Arc<dyn Clock>) {
    let left = at.since(clock.now());
    if left > LAST_STRETCH {
        sleep(left - LAST_STRETCH).await;
    }
    let watched = Arc::clone(clock);
    let looking = spawn_blocking(move || {
        for _ in 0..LOOKS {
            if watched.now() >= at {
                break;
            }
            std::thread::sleep(LOOK);
        }
    });
    let _ = timeout(at.since(clock.now()), looking).await;
    // Normally nothing is left. But no thread may have been free, or the clock may stand still.
    let left = at.since(clock.now());
    if !left.is_zero() {
        sleep(left).await;
    }
}

/// Nothing is done with a single tick before this runs: the first ones would wait for the last.
async fn hand_over_all(mut due: Vec<Ready>) {
    join_all(due.iter_mut().map(|ready| &mut ready.hand_over)).await;
}

/// Waits for the next beat.
async fn beat(beats: &mut watch::Receiver<()>) {
    if beats.changed().await.is_err() {
        // Nobody will beat again; the bell has its own sleep.
        pending::<()>().await;
    }
}

// === impl Armed ===

impl Armed {
    fn ready(self) -> Ready {
        Ready {
            shutdown: self.cx.shutdown().clone(),
            hand_over: self.hand_over().boxed(),
        }
    }

    async fn hand_over(mut self) {
        let at = self.cx.clock().now();
        let late = at.since(self.offer.event.time);
        if self.rung.is_closed() || late > self.grace {
            return;
        }
        stamp(&mut self.offer.event, at);
        let patience = self.deadline.saturating_sub(late);
        let answers = self.cx.dispatch().dispatch_all(vec![self.offer]);
        let answered = tokio::select! {
            biased;
            answered = timeout(patience, answers) => answered,
            () = self.rung.closed() => return,
        };
        let answer = answered.ok().map(|mut answers| Answer {
            at: self.cx.clock().now(),
            result: answers.pop().unwrap_or(Err(Rejected::Unknown)),
        });
        sleep(AFTERWARDS).await;
        // If nobody waits for it any more, the tick was withdrawn too late.
        let _ = self.rung.send(Rung { at, answer });
    }
}
