//! What a crash left: of each invocation, how far it had come. A campaign that misses one of these classes has proved
//! nothing about it.

use std::collections::{BTreeMap, BTreeSet};

use tripline_model::{Invocation, InvocationState, RequestId};

use crate::fate::Effect;
use crate::world::World;

/// How often each class was met.
pub type Classes = BTreeMap<&'static str, u64>;

/// The classes that a campaign must meet.
pub const CLASSES: [&str; 26] = [
    "accept asked, not kept",
    "accept kept, not heard",
    "heard, not started",
    "start asked, not kept",
    "start kept, not run",
    "running, goes on",
    "running, died with the hub",
    "running, died with its executor",
    "function over, end not asked",
    "end asked, not kept",
    "end kept, not reclaimed",
    "record kept, not committed",
    "removal asked, not kept",
    "removal kept, not told",
    "crash while the journal opens",
    "crash in recovery",
    "crash while serving",
    "crash at a write of the log",
    "crash at a sync of the log",
    "crash at a write of the database",
    "crash at a sync of the database",
    "crash when the log is cut",
    "power cut: dropped",
    "power cut: torn",
    "power cut: overtook",
    "a sync failed",
];

/// Sorts what the journal shows when the next life opens it, before anything is settled.
pub(crate) fn look(world: &World, records: &[Invocation]) {
    let states: BTreeMap<RequestId, InvocationState> = records
        .iter()
        .map(|record| (record.request_id, record.state))
        .collect();
    let heard: BTreeSet<_> = world.history().heard().into_iter().collect();
    let asked = world.asked();
    let ledger = world.ledger();
    let mut found = Vec::new();
    let (gone, removal) = world.removals().look(records);
    found.extend(removal);
    for id in asked.accepts.iter().filter(|id| !gone.contains(id)) {
        let run = ledger.runs.get(id);
        let over = run.is_some_and(|run| run.over.is_some());
        found.push(match (states.get(id), run) {
            (None, _) => "accept asked, not kept",
            (Some(InvocationState::Accepted), _) if asked.starts.contains(id) => {
                "start asked, not kept"
            }
            (Some(InvocationState::Accepted), _) if !heard.contains(id) => "accept kept, not heard",
            (Some(InvocationState::Accepted), _) => "heard, not started",
            (Some(InvocationState::Running), None) => "start kept, not run",
            (Some(InvocationState::Running), _) if asked.ends.contains(id) => "end asked, not kept",
            (Some(InvocationState::Running), _) if over => "function over, end not asked",
            (Some(InvocationState::Running), Some(run)) if run.held => "running, goes on",
            (Some(InvocationState::Running), Some(run)) if run.function == "bound" => {
                "running, died with the hub"
            }
            (Some(InvocationState::Running), _) => "running, died with its executor",
            (Some(InvocationState::Ended(_)), Some(run)) if run.held => "end kept, not reclaimed",
            (Some(InvocationState::Ended(_)), _) => continue,
        });
    }
    drop((asked, ledger));
    found.extend(records.iter().filter_map(|record| {
        let number: usize = record.event.id.parse().ok()?;
        let behind = world.topic().is_behind(number);
        behind.then_some("record kept, not committed")
    }));
    let mut classes = world.classes();
    for class in found {
        *classes.entry(class).or_default() += 1;
    }
}

/// Notes at which effect a life ended.
pub(crate) fn note_crash(world: &World, effect: &Effect, stage: &'static str) {
    let at = match effect {
        Effect::Write("journal.db-wal", ..) => Some("crash at a write of the log"),
        Effect::Sync("journal.db-wal") => Some("crash at a sync of the log"),
        Effect::Cut("journal.db-wal", _) => Some("crash when the log is cut"),
        Effect::Write("journal.db", ..) => Some("crash at a write of the database"),
        Effect::Sync("journal.db") => Some("crash at a sync of the database"),
        _ => None,
    };
    let mut classes = world.classes();
    for class in at.into_iter().chain([stage]) {
        *classes.entry(class).or_default() += 1;
    }
}
