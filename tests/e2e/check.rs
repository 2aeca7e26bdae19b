//! `tripline check`: every mistake at once, without starting anything.

use tripline_tests::Hub;

#[test]
fn every_mistake_is_named_with_its_place() {
    let hub = Hub::prepare(
        r#"
[hub]
qsp = 5
[functions.thumb]
command = ["true"]
timeout = "25h"
[triggers.a]
kind = "http"
function = "thump"
route = "POST /x"
auth = "none"
[triggers.b]
kind = "cron"
function = "thumb"
schedule = "0 0 30 2 *"
[triggers.c]
kind = "http"
function = "thumb"
route = "POST /x"
auth = "none"
"#,
    );
    let said = hub.cli(&["check", "tripline.toml"]);
    assert_eq!(said.code, 2, "{said:?}");
    for words in [
        "unknown key `qsp`",
        "did you mean `qps`",
        "is longer than 1d",
        "there is no function `thump`",
        "did you mean `thumb`",
        "schedule",
        "takes the same requests",
        "tripline.toml:7:1",
    ] {
        assert!(
            said.stderr.contains(words),
            "no {words:?} in\n{}",
            said.stderr
        );
    }
    assert!(!hub.path("data").exists(), "check touches no disk");
}

#[test]
fn secrets_are_not_needed_for_a_check_and_named_at_the_start() {
    let hub = Hub::prepare(
        r#"
[functions.f]
command = ["true"]
env = { KEY = { env = "NEVER_SET_ANYWHERE" } }
"#,
    );
    assert_eq!(hub.cli(&["check", "tripline.toml"]).code, 0);
    let said = hub.refuses();
    assert_eq!(said.code, 2, "{said:?}");
    assert!(said.stderr.contains("NEVER_SET_ANYWHERE"), "{said:?}");
}
