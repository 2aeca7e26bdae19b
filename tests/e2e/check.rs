//! `tripline check`: every mistake at once, with its place, without starting anything and without the secrets.

use serde_json::Value;
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
env = { C = { envv = "X" } }
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
    let output = hub.cli(&["check", "tripline.toml"]);
    assert_eq!(output.code, 2, "{output:?}");
    for words in [
        "unknown key `qsp`",
        "did you mean `qps`",
        "25h is longer than 24h",
        "unknown key `envv`",
        "did you mean `env`?",
        "there is no function `thump`",
        "did you mean `thumb`",
        "schedule",
        "takes the same requests",
        "tripline.toml:7:1",
    ] {
        assert!(
            output.stderr.contains(words),
            "no {words:?} in\n{}",
            output.stderr
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
    let output = hub.refuses();
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains("NEVER_SET_ANYWHERE"), "{output:?}");
}

/// The exit code of a command whose reader went away before it said anything.
fn code_unheard(hub: &Hub, args: &[&str]) -> Option<i32> {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = hub.command(args);
    command.stdout(writer).stderr(std::process::Stdio::null());
    command.status().unwrap().code()
}

#[test]
fn a_reader_that_went_away_changes_no_exit_code() {
    let hub = Hub::prepare("[functions.f]\ncommand = [\"true\"]\n");
    hub.write("bad.toml", "[hub]\nqsp = 1\n");
    assert_eq!(code_unheard(&hub, &["check"]), Some(0));
    assert_eq!(
        code_unheard(&hub, &["check", "bad.toml", "--json"]),
        Some(2)
    );
    assert_eq!(
        code_unheard(&hub, &["check", "none.toml", "--json"]),
        Some(2)
    );
    let code = hub.cli(&["doctor"]).code;
    assert_eq!(code_unheard(&hub, &["doctor"]), Some(code));
}

#[test]
fn what_is_wrong_is_json_where_that_is_asked_for() {
    let hub = Hub::prepare("");
    hub.write("bad.toml", "[hub]\nqsp = 1\n");
    for args in [
        ["check", "bad.toml", "--json"].as_slice(),
        &["check", "none.toml", "--json"],
        &["doctor", "bad.toml", "--json"],
        &["doctor", "none.toml", "--json"],
        &["journal", "check", "none", "--json"],
    ] {
        let output = hub.cli(args);
        assert_eq!(
            (output.code, &*output.stderr),
            (2, ""),
            "{args:?}: {output:?}"
        );
        let output: Value = serde_json::from_str(&output.stdout).unwrap();
        assert!(output["message"].is_string(), "{args:?}: {output}");
    }
}

#[test]
fn the_environment_names_the_configuration() {
    let hub = Hub::prepare("[functions.here]\ncommand = [\"true\"]\n");
    hub.write("other.toml", "[hub]\ndata_dir = \"elsewhere\"\nqsp = 1\n");
    let under = |args: &[&str]| {
        let mut command = hub.command(args);
        let done = command.env("TRIPLINE_CONFIG", "other.toml").output();
        let done = done.unwrap();
        String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned()
    };
    for command in ["check", "serve", "doctor"] {
        let output = under(&[command]);
        assert!(output.contains("other.toml:3:1"), "{command}: {output}");
        let named = under(&[command, "none.toml"]);
        assert!(named.contains("none.toml: No such file"), "{named}");
    }
    let mut command = hub.command(&["check"]);
    let done = command.env("TRIPLINE_CONFIG", "").output().unwrap();
    assert!(done.status.success(), "empty is as good as unset: {done:?}");
    for command in ["check", "adopt"] {
        let age: &[&str] = if command == "adopt" { &["--old"] } else { &[] };
        let output = under(&[&["journal", command], age].concat());
        assert!(
            output.contains("elsewhere: No such file"),
            "{command}: {output}"
        );
    }
    // Without it, what lies here is looked at.
    let output = hub.cli(&["doctor"]);
    assert!(output.stdout.contains("here       "), "{output:?}");
}
