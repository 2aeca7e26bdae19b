//! The trigger, broken on purpose: each test here fails if another test does not notice.

use std::sync::Arc;

use tokio::sync::mpsc;
use tripline_skipped::assert_caught;

use crate::batch::{Carried, Settled};

const PACKAGE: &str = env!("CARGO_PKG_NAME");

/// Says of records that are not offered yet that they are safe.
pub(crate) async fn tell_too_soon(records: &[Carried], back: &mpsc::Sender<Settled>) {
    let reached = |record: &Carried| (Arc::clone(&record.lease), record.offset + 1);
    let settled = Settled {
        reached: records.iter().map(reached).collect(),
        finished: false,
    };
    // The consumer may be gone.
    let _ = back.send(settled).await;
}

#[test]
fn commit_before_flush() {
    let test = "tests::faults::a_hub_over_its_limit_pauses_partitions_and_stays_in_the_group";
    assert_caught("commit-before-flush", PACKAGE, test);
}

#[test]
fn no_topic_id() {
    let test = "positions::tests::a_topic_made_anew_begins_a_new_incarnation";
    assert_caught("no-topic-id", PACKAGE, test);
}
