use super::*;
use tripline_model::ManualClock;

fn status_cell() -> (StatusCell, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1000)));
    let name = TriggerName::new("orders").unwrap();
    let function = FunctionName::new("bill").unwrap();
    let kind = "kafka".to_owned();
    (StatusCell::new(name, kind, function, clock.clone()), clock)
}

#[test]
fn since_is_when_the_state_changed_not_when_it_was_reported_again() {
    let (cell, clock) = status_cell();
    clock.advance(Duration::from_millis(5));
    cell.ready();
    clock.advance(Duration::from_millis(5));
    cell.ready();
    let status = cell.get();
    assert_eq!(status.state, TriggerState::Running);
    assert_eq!(status.since.as_millis(), 1005);
}

#[test]
fn trouble_is_shown_until_it_is_over() {
    let (cell, _) = status_cell();
    cell.trouble("no broker answers");
    let status = cell.get();
    assert_eq!(status.state, TriggerState::Troubled);
    assert_eq!(status.error.as_deref(), Some("no broker answers"));
    cell.ready();
    assert_eq!(cell.get().error, None);
}

#[test]
fn updates_of_a_trigger_that_does_not_run_are_ignored() {
    let (cell, _) = status_cell();
    cell.enter(TriggerState::Paused);
    cell.ready();
    cell.trouble("late");
    let status = cell.get();
    assert_eq!((status.state, status.error), (TriggerState::Paused, None));
}

#[test]
fn facts_are_gone_with_the_run_that_reported_them() {
    let ends: [fn(&StatusCell); 3] = [
        |cell| cell.enter(TriggerState::Paused),
        |cell| cell.enter(TriggerState::Stopped),
        |cell| cell.failed("gone", Timestamp::from_millis(2000)),
    ];
    for end in ends {
        let (cell, _) = status_cell();
        cell.fact("listening", true.into());
        cell.ready();
        assert_eq!(cell.get().facts["listening"], FactValue::Flag(true));
        end(&cell);
        assert!(cell.get().facts.is_empty());
        cell.fact("listening", true.into());
        assert!(cell.get().facts.is_empty(), "a late update");
        cell.enter(TriggerState::Starting);
        cell.fact("listening", false.into());
        assert_eq!(cell.get().facts["listening"], FactValue::Flag(false));
    }
}

#[test]
fn hostile_text_is_tamed() {
    let (cell, _) = status_cell();
    cell.trouble(&format!("\u{1b}[2J\r\n{}", "x".repeat(10_000)));
    cell.fact("group", FactValue::from("a\u{7}b"));
    let status = cell.get();
    let error = status.error.unwrap();
    assert_eq!(error.chars().count(), MAX_TEXT_CHARS);
    assert!(error.starts_with(" [2J  x"), "{error:?}");
    assert_eq!(status.facts["group"], FactValue::Text("a b".to_owned()));
}

#[test]
fn a_failure_counts_and_says_when_it_goes_on() {
    let (cell, _) = status_cell();
    cell.failed("gone", Timestamp::from_millis(2000));
    let status = cell.get();
    assert_eq!((status.state, status.restarts), (TriggerState::Backoff, 1));
    assert_eq!(status.retry_at, Some(Timestamp::from_millis(2000)));
    cell.enter(TriggerState::Starting);
    let status = cell.get();
    assert_eq!(status.retry_at, None);
    assert_eq!(
        status.error.as_deref(),
        Some("gone"),
        "shown until it runs well"
    );
}
