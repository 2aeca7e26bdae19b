use super::*;

fn note(id: Option<&str>, incarnation: u32, start: u64) -> Note {
    Note {
        topic_id: id.map(str::to_owned),
        incarnation,
        start,
    }
}

/// The columns of the table: note, watermark, committed, low..high, id.
type Row = (
    Option<Note>,
    Option<u64>,
    Option<u64>,
    (u64, u64),
    Option<&'static str>,
);

fn planned(row: Row, reset: Reset) -> Plan {
    let (note, watermark, committed, (low, high), id) = row;
    let topic_id = id.map(str::to_owned);
    plan(
        Facts {
            note,
            watermark,
            committed,
            low,
            high,
            topic_id,
            is_added: false,
        },
        reset,
    )
}

#[test]
fn a_partition_never_seen_before() {
    for (committed, reset, start) in [
        (None, Reset::Latest, 90),
        (None, Reset::Earliest, 10),
        (Some(50), Reset::Latest, 50),
        (Some(90), Reset::Earliest, 90),
    ] {
        let plan = planned((None, None, committed, (10, 90), Some("A")), reset);
        assert_eq!((plan.start, plan.note), (start, note(Some("A"), 0, start)));
        let findings: Vec<Finding> = committed.map(Finding::GroupPosition).into_iter().collect();
        assert_eq!(plan.findings, findings);
    }
    let gap = planned((None, None, Some(4), (10, 90), Some("A")), Reset::Latest);
    assert_eq!((gap.start, gap.note.start), (10, 10));
    let removed = Finding::Gap { from: 4, to: 10 };
    assert_eq!(gap.findings, [Finding::GroupPosition(4), removed]);
    let beyond = planned((None, None, Some(91), (10, 90), Some("A")), Reset::Latest);
    assert_eq!(beyond.start, 10, "records of a remade topic are not missed");
    assert_eq!(beyond.findings, [Finding::CommitBeyondEnd(91)]);
}

#[test]
fn a_partition_that_was_added_is_read_from_its_beginning() {
    for (committed, reset, start) in [
        (None, Reset::Latest, 10),
        (None, Reset::Earliest, 10),
        (Some(50), Reset::Latest, 50),
    ] {
        let facts = Facts {
            committed,
            low: 10,
            high: 90,
            is_added: true,
            ..Facts::default()
        };
        assert_eq!(plan(facts, reset).start, start, "{committed:?} {reset:?}");
    }
    let (same, other) = ("A".to_owned(), "B".to_owned());
    let note = |topic_id: Option<&String>| TopicNote {
        topic_id: topic_id.cloned(),
        partitions: 2,
    };
    for (noted, partition, now, is_added) in [
        (Some(&same), 1, Some(&same), false),
        (Some(&same), 2, Some(&same), true),
        // All of a topic that was made anew is new.
        (Some(&same), 0, Some(&other), true),
        // Without ids the count alone decides.
        (Some(&same), 1, None, false),
        (None, 1, Some(&other), false),
        (None, 2, None, true),
    ] {
        let found = note(noted).lacks(partition, now);
        assert_eq!(found, is_added, "{noted:?} {partition} {now:?}");
    }
}

#[test]
fn the_hubs_position_wins_unless_the_group_is_ahead() {
    for (watermark, committed, start, kept) in [
        (Some(59), Some(40), 60, 30),
        (Some(59), Some(60), 60, 30),
        (Some(59), Some(70), 70, 70),
        (Some(59), None, 60, 30),
        (None, None, 30, 30),
        (None, Some(20), 30, 30),
        (None, Some(35), 35, 35),
        (Some(89), None, 90, 30),
    ] {
        let row = (
            Some(note(Some("A"), 2, 30)),
            watermark,
            committed,
            (0, 90),
            Some("A"),
        );
        let plan = planned(row, Reset::Latest);
        assert_eq!(
            (plan.start, plan.findings),
            (start, vec![]),
            "{watermark:?} {committed:?}"
        );
        let what = "only a move ahead is new to keep";
        assert_eq!(plan.note, note(Some("A"), 2, kept), "{what}");
    }
}

/// Nothing was accepted since the move, and then the group's offset is lost: what was skipped stays skipped.
#[test]
fn a_move_ahead_outlives_the_groups_offset() {
    let seen_with = |note, committed, bounds| {
        let row = (Some(note), Some(59), committed, bounds, Some("A"));
        planned(row, Reset::Earliest)
    };
    let moved = seen_with(note(Some("A"), 0, 30), Some(70), (0, 90));
    let lost = seen_with(moved.note, None, (0, 90));
    assert_eq!((lost.start, lost.note.start), (70, 70));
    let behind_a_gap = seen_with(note(Some("A"), 0, 30), Some(70), (80, 90));
    assert_eq!((behind_a_gap.start, behind_a_gap.note.start), (80, 80));
}

#[test]
fn a_topic_made_anew_begins_a_new_incarnation() {
    let old = || Some(note(Some("A"), 0, 5));
    for (watermark, committed, bounds, start) in [
        // Fewer records than the watermark, and more: the id alone decides.
        (Some(100), None, (0, 7), 0),
        (Some(100), None, (0, 700), 0),
        // Our own last commit may have hit the new topic; another hub's is ahead of it.
        (Some(100), Some(101), (0, 700), 0),
        (Some(100), Some(300), (0, 700), 300),
        (None, None, (3, 9), 3),
    ] {
        let plan = planned(
            (old(), watermark, committed, bounds, Some("B")),
            Reset::Latest,
        );
        assert_eq!(plan.findings, [Finding::Recreated]);
        assert_eq!((plan.start, plan.note), (start, note(Some("B"), 1, start)));
    }
}

#[test]
fn without_ids_a_shorter_log_is_a_topic_made_anew() {
    for (before, now) in [(None, None), (Some("A"), None), (None, Some("B"))] {
        let row = (Some(note(before, 1, 0)), Some(100), None, (0, 7), now);
        let plan = planned(row, Reset::Latest);
        assert_eq!(plan.findings, [Finding::Recreated], "{before:?} {now:?}");
        assert_eq!((plan.start, plan.note.incarnation), (0, 2));
    }
    let learnt = planned(
        (Some(note(None, 1, 0)), Some(5), None, (0, 7), Some("B")),
        Reset::Latest,
    );
    assert_eq!((learnt.start, learnt.findings), (6, vec![]));
    assert_eq!(
        learnt.note,
        note(Some("B"), 1, 0),
        "the id is kept from now on"
    );
    let kept = planned(
        (Some(note(Some("A"), 1, 0)), Some(5), None, (0, 7), None),
        Reset::Latest,
    );
    assert_eq!(
        kept.note,
        note(Some("A"), 1, 0),
        "an id once known is not forgotten"
    );
}

#[test]
fn lost_records_are_told_and_their_offsets_begin_anew() {
    let row = (
        Some(note(Some("A"), 0, 0)),
        Some(99),
        Some(100),
        (0, 80),
        Some("A"),
    );
    let plan = planned(row, Reset::Earliest);
    assert_eq!((plan.start, plan.note), (80, note(Some("A"), 1, 80)));
    let truncated = Finding::Truncated { from: 80, to: 100 };
    assert_eq!(plan.findings, [Finding::CommitBeyondEnd(100), truncated]);
}

#[test]
fn removed_records_are_told() {
    let row = (
        Some(note(Some("A"), 0, 0)),
        Some(9),
        Some(10),
        (50, 80),
        Some("A"),
    );
    let plan = planned(row, Reset::Latest);
    assert_eq!((plan.start, plan.note), (50, note(Some("A"), 0, 0)));
    assert_eq!(plan.findings, [Finding::Gap { from: 10, to: 50 }]);
    let words = plan.findings[0].to_string();
    assert_eq!(
        words,
        "the brokers removed offsets 10 to 49 before they were read"
    );
}

#[test]
fn streams_differ_and_fit() {
    let long = "t".repeat(249);
    let names = [
        stream("c", "t", 0, 0),
        stream("c", "t", 0, 1),
        stream("c", "t", 1, 0),
        stream("c", "u", 0, 0),
        stream("d", "t", 0, 0),
        stream(&long, &long, i32::MAX, u32::MAX),
    ];
    for (at, name) in names.iter().enumerate() {
        assert!(name.len() <= 255);
        assert!(!names[..at].contains(name), "{name}");
    }
}

#[test]
fn topic_ids_in_librdkafkas_log() {
    let line = "[thrd:main]: Topic orders.v1 changed id from AAAAAAAAAAAAAAAAAAAAAA to x3+/aQ";
    assert_eq!(
        topic_id_in_log(line),
        Some(("orders.v1", "x3-_aQ".to_owned()))
    );
    for line in [
        "[thrd:main]: Topic orders changed id from x3 to AAAAAAAAAAAAAAAAAAAAAA",
        "[thrd:main]: Topic orders partition 0 Leader 1 Epoch 0",
        "Topic a b changed id from x to y",
        "",
    ] {
        assert_eq!(topic_id_in_log(line), None, "{line}");
    }
}
