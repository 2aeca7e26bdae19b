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

/// Hub and executors take no more of their machine than they may.
pub(super) fn bounded(evidence: &Evidence<'_>) -> Vec<String> {
    let Some(vitals) = evidence.facts.vitals else {
        return vec!["the hub is gone".to_owned()];
    };
    let hub = (!vitals.is_within(MOST)).then(|| format!("the hub takes {vitals:?}"));
    let executors = evidence.facts.executors.iter();
    let executors = executors.filter(|one| !one.is_within(MOST_OF_EXECUTOR));
    let executors = executors.map(|one| format!("an executor takes {one:?}"));
    hub.into_iter().chain(executors).collect()
}
