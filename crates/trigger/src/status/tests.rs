use super::*;
use tripline_model::ManualClock;

fn board() -> (Board, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1000)));
    let name = TriggerName::new("orders").unwrap();
    let function = FunctionName::new("bill").unwrap();
    let kind = "kafka".to_owned();
    (Board::new(name, kind, function, clock.clone()), clock)
}

#[test]
fn since_tells_when_the_state_changed_not_when_it_was_said_again() {
    let (board, clock) = board();
    clock.advance(Duration::from_millis(5));
    board.ready();
    clock.advance(Duration::from_millis(5));
    board.ready();
    let status = board.status();
    assert_eq!(status.state, TriggerState::Running);
    assert_eq!(status.since.as_millis(), 1005);
}

#[test]
fn trouble_is_shown_until_it_is_over() {
    let (board, _) = board();
    board.trouble("no broker answers");
    let status = board.status();
    assert_eq!(status.state, TriggerState::Troubled);
    assert_eq!(status.error.as_deref(), Some("no broker answers"));
    board.ready();
    assert_eq!(board.status().error, None);
}

#[test]
fn a_trigger_that_does_not_run_has_no_say() {
    let (board, _) = board();
    board.enter(TriggerState::Paused);
    board.ready();
    board.trouble("late");
    let status = board.status();
    assert_eq!((status.state, status.error), (TriggerState::Paused, None));
}

#[test]
fn facts_are_gone_with_the_run_that_told_them() {
    let ends: [fn(&Board); 3] = [
        |board| board.enter(TriggerState::Paused),
        |board| board.enter(TriggerState::Stopped),
        |board| board.failed("gone", Timestamp::from_millis(2000)),
    ];
    for end in ends {
        let (board, _) = board();
        board.fact("listening", true.into());
        board.ready();
        assert_eq!(board.status().facts["listening"], FactValue::Flag(true));
        end(&board);
        assert!(board.status().facts.is_empty());
        board.fact("listening", true.into());
        assert!(board.status().facts.is_empty(), "a late word");
        board.enter(TriggerState::Starting);
        board.fact("listening", false.into());
        assert_eq!(board.status().facts["listening"], FactValue::Flag(false));
    }
}

#[test]
fn hostile_text_is_tamed() {
    let (board, _) = board();
    board.trouble(&format!("\u{1b}[2J\r\n{}", "x".repeat(10_000)));
    board.fact("group", FactValue::from("a\u{7}b"));
    let status = board.status();
    let error = status.error.unwrap();
    assert_eq!(error.chars().count(), MAX_TEXT_CHARS);
    assert!(error.starts_with(" [2J  x"), "{error:?}");
    assert_eq!(status.facts["group"], FactValue::Text("a b".to_owned()));
}

#[test]
fn a_failure_counts_and_says_when_it_goes_on() {
    let (board, _) = board();
    board.failed("gone", Timestamp::from_millis(2000));
    let status = board.status();
    assert_eq!((status.state, status.restarts), (TriggerState::Backoff, 1));
    assert_eq!(status.retry_at, Some(Timestamp::from_millis(2000)));
    board.enter(TriggerState::Starting);
    let status = board.status();
    assert_eq!(status.retry_at, None);
    assert_eq!(
        status.error.as_deref(),
        Some("gone"),
        "shown until it runs well"
    );
}
