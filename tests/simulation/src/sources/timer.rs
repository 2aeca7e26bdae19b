//! A timer that fires every second of the wall clock. What was missed is made up for by its last tick.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tripline_model::{Clock, Cursors};

use super::{Hub, hear};
use crate::history::{Way, trigger_name};
use crate::mutant::Mutant;
use crate::script::Kind;
use crate::world::World;

/// Milliseconds from one tick to the next.
const PERIOD: u64 = 1000;

/// Ticks of one life: more of them show nothing new.
const TICKS: usize = 2;

/// Fires until the life is over.
pub(crate) async fn fire(world: Arc<World>, hub: Hub, cursors: Arc<dyn Cursors>) {
    let mut mark = loop {
        match cursors.watermark(&trigger_name("timer"), "tick").await {
            Ok(mark) if !world.is(Mutant::TimerInMemory) => break mark.unwrap_or(0),
            Ok(_) => break 0,
            Err(_) => sleep(Duration::from_millis(PERIOD)).await,
        }
    };
    let mut ticks = 0;
    while ticks < TICKS {
        let now = u64::try_from(world.clock.now().as_millis()).unwrap_or(0);
        let due = now / PERIOD * PERIOD;
        if due > mark && offer(&world, &hub, due).await {
            mark = due;
            ticks += 1;
        }
        sleep(Duration::from_millis(PERIOD - now % PERIOD)).await;
    }
}

/// Offers one tick; whether it was accepted, now or before.
async fn offer(world: &World, hub: &Hub, at: u64) -> bool {
    let (number, offer) = {
        let mut history = world.history();
        let known = history
            .occurrences
            .iter()
            .position(|one| one.way == Way::Tick { at });
        let number = known.unwrap_or_else(|| history.add(Way::Tick { at }, "kept", Kind::Quick));
        // A tick that is missed is made up for by a later one.
        history.occurrences[number].settled = true;
        (number, history.offer(number, world.mutant))
    };
    let answers = hub.dispatch_all(vec![offer]).await;
    hear(world, &[number], &answers).await;
    answers.iter().all(Result::is_ok)
}
