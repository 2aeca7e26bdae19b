//! Clients that call, and an object store that tells of objects until it is heard.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;

use super::{Hub, hear};
use crate::dice::Dice;
use crate::fate::Effect;
use crate::history::Way;
use crate::world::World;

/// How long somebody waits before the same is offered again.
const AGAIN: Duration = Duration::from_millis(170);

/// Offers one occurrence until it is settled, and now and then once more; then perhaps waits for its end.
pub(crate) async fn call(world: Arc<World>, hub: Hub, number: usize, mut dice: Dice) {
    let again = {
        let mut history = world.history();
        let occurrence = &mut history.occurrences[number];
        let unique = occurrence.way == Way::Unique;
        // Whoever has no key cannot ask twice.
        occurrence.settled |= unique;
        !unique
    };
    loop {
        let offer = world.history().offer(number, world.mutant);
        let answer = hub.try_dispatch(offer).await;
        hear(&world, &[number], &[answer]).await;
        let settled = world.history().occurrences[number].settled;
        if !again || (settled && !dice.once_in(4)) {
            break;
        }
        sleep(AGAIN).await;
    }
    let id = world.history().occurrences[number].ids.first().copied();
    let Some(id) = id.filter(|_| dice.once_in(2)) else {
        return;
    };
    let asked = world.history().asked(id);
    if let Ok(Some(invocation)) = hub.ended(id).await {
        let state = invocation.state.as_str();
        world.fate.pass(Effect::Look(id, state)).await;
        world.history().see(id, asked, &invocation);
    }
}

/// Tells of several objects at once, until all are settled, and now and then once more.
pub(crate) async fn notify(world: Arc<World>, hub: Hub, numbers: Vec<usize>, mut dice: Dice) {
    loop {
        let offers = {
            let mut history = world.history();
            let offers = numbers.iter().map(|one| history.offer(*one, world.mutant));
            offers.collect()
        };
        let answers = hub.try_dispatch_all(offers).await;
        hear(&world, &numbers, &answers).await;
        let settled = {
            let history = world.history();
            numbers.iter().all(|one| history.occurrences[*one].settled)
        };
        if settled && !dice.once_in(4) {
            return;
        }
        sleep(AGAIN).await;
    }
}
