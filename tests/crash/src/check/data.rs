//! A function gets what was sent, each byte of it and no other's.

use super::Evidence;
use crate::facts::Invocation;
use crate::payload;

/// What a function wrote down of its event's data is of what was sent with that mark; what succeeded did write it down.
pub(super) fn events_are_whole(evidence: &Evidence<'_>) -> Vec<String> {
    let facts = evidence.facts;
    let invocations = facts.invocations.iter();
    let wrong = invocations.filter_map(|one| {
        let sent = sent(one)?;
        let deeds = evidence.ledger.get(&one.id)?;
        let is_whole = match &deeds.data {
            // Who reads its input to the end may see that end where its executor died over it.
            Some(read) => *read == sent || dies_with_its_executor(evidence, one),
            // Only what reads the data may have been killed.
            None => one.state != "succeeded" || one.lived_through(&facts.function_deaths),
        };
        let read = deeds.data.as_deref().unwrap_or("nothing");
        (!is_whole).then(|| format!("{} for {} read {read}, not {sent}", one.id, one.mark))
    });
    wrong.collect()
}

/// What is to be written down; nothing is known of ticks, whose data nobody sent.
fn sent(one: &Invocation) -> Option<String> {
    match one.trigger.as_str() {
        "tick" => None,
        "object" => Some(payload::of_object(&one.mark)),
        _ => Some(payload::digest(&one.mark)),
    }
}

fn dies_with_its_executor(evidence: &Evidence<'_>, one: &Invocation) -> bool {
    one.state == "lost" && one.lived_through(&evidence.facts.executor_deaths)
}
