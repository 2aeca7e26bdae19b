//! Those who offer events to the hub. What they know is outside of it; their tasks end with the hub's life.

pub(crate) mod client;
pub(crate) mod gate;
pub(crate) mod log;
pub(crate) mod timer;

use std::sync::Arc;

use tripline_model::{Dispatch, Receipt, Rejected};

use crate::fate::Effect;
use crate::world::World;

/// A hub that is offered events.
pub(crate) type Hub = Arc<dyn Dispatch>;

/// What a hub answers.
pub(crate) type Answer = Result<Receipt, Rejected>;

/// The answers reach those who offered, unless the life is over by then.
pub(crate) async fn hear(world: &World, numbers: &[usize], answers: &[Answer]) {
    world.fate.pass(Effect::Answer(numbers.to_vec())).await;
    let mut history = world.history();
    for (number, answer) in numbers.iter().zip(answers) {
        history.hear(*number, answer);
    }
}
