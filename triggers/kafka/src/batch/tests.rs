use bytes::Bytes;
use std::collections::BTreeMap;
use tripline_model::{Event, FunctionName, RequestId, Timestamp};

use super::*;

fn carried(lease: &Arc<Lease>, offset: u64) -> Carried {
    let event = Event {
        id: offset.to_string(),
        source: "s".to_owned(),
        kind: "k".to_owned(),
        subject: None,
        time: Timestamp::from_millis(0),
        content_type: None,
        data: Some(Bytes::new()),
        extensions: BTreeMap::new(),
    };
    let stream = format!("p{}", lease.partition);
    let offer = Offer {
        function: FunctionName::new("work").unwrap(),
        trigger: None,
        event,
        identity: Identity::Position {
            stream,
            position: offset,
        },
        cursors: Vec::new(),
    };
    Carried {
        lease: Arc::clone(lease),
        offset,
        offer: Some(offer),
        unreadable: 0,
    }
}

fn two() -> (Arc<Lease>, Arc<Lease>) {
    (Arc::new(Lease::new("t", 0)), Arc::new(Lease::new("t", 1)))
}

fn new() -> Result<Receipt, Rejected> {
    Ok(Receipt::New(RequestId::new(
        Timestamp::from_millis(1),
        [0; 10],
    )))
}

fn reached(outcome: &SettleOutcome) -> Vec<(i32, u64)> {
    outcome
        .reached
        .iter()
        .map(|(lease, next)| (lease.partition, *next))
        .collect()
}

fn left(records: &[Carried]) -> Vec<(i32, u64)> {
    records
        .iter()
        .map(|record| (record.lease.partition, record.offset))
        .collect()
}

#[test]
fn receipts_move_every_partition_and_leave_nothing() {
    let (a, b) = two();
    let mut records = vec![
        carried(&a, 5),
        carried(&a, 9),
        carried(&b, 1),
        carried(&a, 10),
    ];
    let outcome = settle(&mut records, vec![new(), Ok(Receipt::Past), new(), new()]);
    assert_eq!(reached(&outcome), [(0, 10), (1, 2), (0, 11)]);
    assert!(records.is_empty() && outcome.again.is_none());
}

#[test]
fn the_first_passing_refusal_keeps_itself_and_all_behind() {
    let (a, b) = two();
    let mut records = vec![carried(&a, 5), carried(&b, 1), carried(&a, 6)];
    let refused = || Err(Rejected::StorageFull);
    let outcome = settle(&mut records, vec![new(), refused(), refused()]);
    assert_eq!(reached(&outcome), [(0, 6)]);
    assert_eq!(left(&records), [(1, 1), (0, 6)]);
    assert_eq!(outcome.again, Some(Rejected::StorageFull));
}

#[test]
fn a_refusal_for_good_is_told_and_passed_over() {
    let (a, _) = two();
    let mut records = vec![carried(&a, 5), carried(&a, 6)];
    let too_large = Rejected::TooLarge { size: 2, limit: 1 };
    let outcome = settle(&mut records, vec![Err(too_large.clone()), new()]);
    assert_eq!(reached(&outcome), [(0, 7)]);
    assert_eq!(outcome.refused.len(), 1);
    assert_eq!(
        (outcome.refused[0].1, &outcome.refused[0].2),
        (5, &too_large)
    );
    assert!(records.is_empty());
}

#[test]
fn records_without_an_offer_are_passed_over_in_their_turn() {
    let (a, _) = two();
    let mut records = vec![carried(&a, 5), carried(&a, 6), carried(&a, 7)];
    records[1].offer = None;
    let outcome = settle(&mut records, vec![new(), Err(Rejected::Draining)]);
    assert_eq!(reached(&outcome), [(0, 7)]);
    assert_eq!(left(&records), [(0, 7)]);
    let mut behind = vec![carried(&a, 5), carried(&a, 6)];
    behind[1].offer = None;
    let outcome = settle(&mut behind, vec![Err(Rejected::Draining)]);
    assert_eq!(
        (reached(&outcome), left(&behind)),
        (vec![], vec![(0, 5), (0, 6)])
    );
}

#[test]
fn an_overtaken_record_keeps_an_identity_of_its_own() {
    let (a, b) = two();
    let mut records = vec![
        carried(&a, 5),
        carried(&b, 1),
        carried(&a, 6),
        carried(&a, 7),
        carried(&b, 2),
    ];
    let refused = || Err(Rejected::Unavailable);
    settle(
        &mut records,
        vec![refused(), refused(), new(), refused(), refused()],
    );
    let is_keyed = |record: &Carried| {
        matches!(
            record.offer.as_ref().unwrap().identity,
            Identity::Key { .. }
        )
    };
    let keyed: Vec<bool> = records.iter().map(is_keyed).collect();
    assert_eq!(keyed, [true, false, false, false, false]);
}

#[test]
fn missing_answers_count_as_refusals_and_a_missing_function_ends_it() {
    let (a, _) = two();
    let mut records = vec![carried(&a, 5), carried(&a, 6)];
    let outcome = settle(&mut records, vec![new()]);
    assert_eq!(
        (reached(&outcome), left(&records)),
        (vec![(0, 6)], vec![(0, 6)])
    );
    assert_eq!(outcome.again, Some(Rejected::Unavailable));
    let name = FunctionName::new("gone").unwrap();
    let outcome = settle(
        &mut records,
        vec![Err(Rejected::UnknownFunction(name.clone()))],
    );
    assert_eq!(outcome.unknown_function, Some(name));
    assert_eq!(left(&records), [(0, 6)]);
}
