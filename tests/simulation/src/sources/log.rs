//! A log that is read from a place that its server keeps, and that can be read again from any earlier one.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::sleep;
use tripline_model::Cursors;

use super::{Answer, Hub, hear};
use crate::check::COMMITTED;
use crate::dice::Dice;
use crate::fate::Effect;
use crate::history::{Way, stream, trigger_name};
use crate::mutant::Mutant;
use crate::script::{FUNCTIONS, Kind};
use crate::world::World;

/// How often an empty log is looked at.
const LOOK: Duration = Duration::from_millis(40);

/// Records that are offered at once.
const BATCH: usize = 3;

/// One partition, as its server has it.
#[derive(Default)]
pub(crate) struct Topic {
    /// Which incarnation of the name it is.
    id: u64,
    /// Places grow, with gaps; each record is an occurrence.
    records: Vec<(u64, usize)>,
    /// Where reading goes on: the place after the last one that was committed.
    pub(crate) committed: u64,
}

impl Topic {
    /// Whether everything in it was read and committed.
    pub(crate) fn is_read(&self) -> bool {
        let last = self.records.last();
        last.is_none_or(|(at, _)| self.committed > *at)
    }

    /// Whether the occurrence is a record that is still to be committed.
    pub(crate) fn is_behind(&self, number: usize) -> bool {
        let mut records = self.records.iter();
        records.any(|(at, one)| *one == number && *at >= self.committed)
    }

    fn from(&self, place: u64) -> Vec<(u64, usize)> {
        let there = self.records.iter().filter(|(at, _)| *at >= place);
        there.take(BATCH).copied().collect()
    }
}

/// Adds records to the log.
pub(crate) fn produce(world: &World, count: u64, dice: &mut Dice) {
    for _ in 0..count {
        let mut topic = world.topic();
        let at = topic.records.last().map_or(0, |(last, _)| last + 1) + dice.below(3);
        let way = Way::Record {
            topic: topic.id,
            at,
        };
        let mut history = world.history();
        let number = history.add(way, dice.pick(&FUNCTIONS), Kind::any(dice));
        // Whether it is still to be read is known by the place that is committed.
        history.occurrences[number].settled = true;
        topic.records.push((at, number));
    }
}

/// Deletes the log and makes it anew. What was not read would be lost with it: then it stays.
pub(crate) fn recreate(world: &World) {
    let mut topic = world.topic();
    if topic.is_read() {
        *topic = Topic {
            id: topic.id + 1,
            ..Topic::default()
        };
    }
}

/// Reads the log until the life is over.
pub(crate) async fn read(world: Arc<World>, hub: Hub, cursors: Arc<dyn Cursors>, mut dice: Dice) {
    loop {
        let id = world.topic().id;
        let stream = stream(id, world.mutant);
        let Ok(mark) = cursors.watermark(&trigger_name("orders"), &stream).await else {
            sleep(LOOK).await;
            continue;
        };
        let next = mark.map_or(0, |mark| mark + 1);
        let committed = world.topic().committed;
        if committed > next {
            let what = format!("it is {committed}, and durable is all up to {next} only");
            world.wrong(COMMITTED, &what);
        }
        // The watermark tells where to go on; that it is not used must not matter.
        let place = dice.pick(&[committed, committed.max(next)]);
        read_topic(&world, &hub, id, place, &mut dice).await;
    }
}

/// Reads one incarnation of the log, until there is another.
async fn read_topic(world: &World, hub: &Hub, id: u64, mut place: u64, dice: &mut Dice) {
    loop {
        let batch = {
            let topic = world.topic();
            if topic.id != id {
                return;
            }
            topic.from(place)
        };
        if batch.is_empty() {
            sleep(LOOK).await;
            continue;
        }
        if world.is(Mutant::CommitBeforeFlush) {
            commit(world, id, batch[batch.len() - 1].0 + 1).await;
        }
        let numbers: Vec<_> = batch.iter().map(|(_, number)| *number).collect();
        let offers = {
            let mut history = world.history();
            let offers = numbers.iter().map(|one| history.offer(*one, world.mutant));
            offers.collect()
        };
        let answers = hub.dispatch_all(offers).await;
        hear(world, &numbers, &answers).await;
        let taken = answers.iter().take_while(|answer| is_final(answer)).count();
        if let Some((at, _)) = taken.checked_sub(1).and_then(|last| batch.get(last)) {
            place = at + 1;
            commit(world, id, place).await;
        }
        if taken < batch.len() {
            sleep(LOOK).await;
        }
        if dice.once_in(5) {
            // Another member of the group had it for a moment, and its commits came late.
            place = dice.below(place + 1);
        }
    }
}

/// Commits a place in one incarnation of the log. The server of a newer one does not take it.
async fn commit(world: &World, id: u64, place: u64) {
    world.fate.pass(Effect::Commit(place)).await;
    let mut topic = world.topic();
    if topic.id == id {
        topic.committed = topic.committed.max(place);
    }
}

fn is_final(answer: &Answer) -> bool {
    answer.as_ref().err().is_none_or(|no| !no.is_passing())
}
