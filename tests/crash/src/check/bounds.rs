//! What hub and executors may take of their machine.

use tripline_tests::Vitals;

use super::Evidence;

/// What a hub of a debug build may take at the end.
const MOST: Vitals = Vitals {
    rss_kib: 120 << 10,
    files: 100,
    threads: 40,
};

/// What its executor may take.
const MOST_OF_EXECUTOR: Vitals = Vitals {
    rss_kib: 60 << 10,
    files: 80,
    threads: 40,
};

/// The journal's reserve, in KiB.
const RESERVE: u64 = 32 << 10;
/// The most that its log takes before it is moved into the file: half of the reserve, and the transaction that found it
/// so.
const JOURNAL_LOG: u64 = RESERVE / 2 + (4 << 10);
/// The same of the functions' logs, for a campaign that goes on over midnight; indexes of logs, locks, notes, and what
/// executors keep of runs whose end nobody has taken yet, which is nothing at rest.
const REST: u64 = 8 << 10;
/// What an invocation leaves: its record with its keys, its place in the indexes, and its lines. The campaign's functions
/// give no results, and payloads go at the end.
const EACH: u64 = 2;

/// What the data directory may take, in KiB. `max_journal` does not come into it: for a quarter of an hour nothing goes
/// that has ended.
fn most_on_disk(invocations: usize) -> u64 {
    RESERVE + JOURNAL_LOG + REST + EACH * invocations as u64
}

/// Hub and executors take no more of their machine than they may, and the data directory grows with what was accepted,
/// and with nothing else.
pub(super) fn bounded(evidence: &Evidence<'_>) -> Vec<String> {
    let Some(vitals) = evidence.facts.vitals else {
        return vec!["the hub is gone".to_owned()];
    };
    let hub = (!vitals.is_within(MOST)).then(|| format!("the hub takes {vitals:?}"));
    let executors = evidence.facts.executors.iter();
    let executors = executors.filter(|one| !one.is_within(MOST_OF_EXECUTOR));
    let executors = executors.map(|one| format!("an executor takes {one:?}"));
    let (taken, most) = (
        evidence.facts.disk_kib,
        most_on_disk(evidence.facts.invocations.len()),
    );
    let disk = (taken > most).then(|| format!("the data takes {taken} KiB, and may take {most}"));
    hub.into_iter().chain(executors).chain(disk).collect()
}
