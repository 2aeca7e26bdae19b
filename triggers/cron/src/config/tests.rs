//! The table as people write it, and the whole report when it is wrong.

use tripline_config::Document;

use super::*;

fn parse(text: &str) -> Result<Config, String> {
    let document = Document::new("tripline.toml", text);
    document
        .read(Config::read)
        .map_err(|errors| errors.to_string())
}

#[test]
fn the_defaults() {
    let config = parse("schedule = '0 2 * * *'").expect("enough");
    assert_eq!(config.schedule.to_string(), "0 2 * * * (UTC)");
    assert_eq!(config.misfire, Misfire::FireOnce);
    assert_eq!(config.deadline, Duration::from_secs(3600));
    assert_eq!((config.payload.len(), config.content_type), (0, None));
}

#[test]
fn the_content_type_follows_the_payload_unless_it_is_written() {
    let kind = |rest: &str| {
        let text = format!("schedule = '@daily'\n{rest}");
        parse(&text).expect("right").content_type
    };
    assert_eq!(
        kind("payload = '{\"a\": 1}'").as_deref(),
        Some("application/json")
    );
    assert_eq!(kind("payload = '{\"a\": 1'").as_deref(), Some("text/plain"));
    let written = kind("payload = 'a,b'\ncontent_type = 'text/csv'");
    assert_eq!(written.as_deref(), Some("text/csv"));
}

#[test]
fn a_tick_may_be_late_at_all() {
    let report = parse("schedule = '@daily'\nmisfire_deadline = '0s'").expect_err("never in time");
    assert!(report.contains("every tick would be too late"), "{report}");
}

#[test]
fn everything_at_once() {
    let text = r#"schedule = "0 0 30 2 *"
timezone = "Europe/Berln"
misfire = "fire"
misfire_deadline = 5
content_type = "json"
paylod = "x"
"#;
    let report = parse(text).expect_err("all of it is wrong");
    for words in [
        "`0 0 30 2 *` never comes: there is no such date in any year",
        "there is no time zone `Europe/Berln`",
        "did you mean \"Europe/Berlin\"?",
        "unknown value `fire` for `misfire`",
        "5 has no unit",
        "unknown key `paylod`",
        "did you mean `payload`?",
        "there is no payload that it could describe",
        "this cannot be a content type",
    ] {
        assert!(report.contains(words), "{words:?} is not in\n{report}");
    }
    assert!(report.contains("tripline.toml:1:12"), "{report}");
}

#[test]
fn a_schedule_is_needed() {
    let report = parse("shedule = '@daily'").expect_err("misspelt");
    assert!(
        report.contains("did you mean `schedule`, which is missing?"),
        "{report}"
    );
}
