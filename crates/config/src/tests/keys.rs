//! Keys: unknown, missing, misspelt, out of a closed set, and errors between tables.

use super::{check, login, routes, settings};
use crate::{Document, Table, nearest};

#[test]
fn unknown_keys_name_the_nearest_known_one_and_all_allowed() {
    check(
        r#"[hub]
data-dir = "x"
qsp = 10
lisen = "127.0.0.1:1"

[gateway]
x = 1
"#,
        settings,
        r#"error: unknown key `data-dir`
 --> tripline.toml:2:1
  |
2 | data-dir = "x"
  | ^^^^^^^^
  = help: did you mean `data_dir`? allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags

error: unknown key `qsp`
 --> tripline.toml:3:1
  |
3 | qsp = 10
  | ^^^
  = help: did you mean `qps`? allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags

error: unknown key `lisen`
 --> tripline.toml:4:1
  |
4 | lisen = "127.0.0.1:1"
  | ^^^^^
  = help: did you mean `listen`? allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags

error: unknown key `gateway`
 --> tripline.toml:6:2
  |
6 | [gateway]
  |  ^^^^^^^
  = help: allowed here: hub

4 errors in tripline.toml
"#,
    );
    check(
        r#"[function.a]
command = ["a"]
"#,
        routes,
        r#"error: unknown key `function`
 --> tripline.toml:1:2
  |
1 | [function.a]
  |  ^^^^^^^^
  = help: did you mean `functions`? allowed here: functions, triggers

1 error in tripline.toml
"#,
    );
}

#[test]
fn a_misspelt_required_key_is_one_error_not_two() {
    check(
        r#"[functions.a]
comand = ["a"]
"#,
        routes,
        r#"error: unknown key `comand`
 --> tripline.toml:2:1
  |
2 | comand = ["a"]
  | ^^^^^^
  = help: did you mean `command`, which is missing? allowed here: command, execution, timeout

1 error in tripline.toml
"#,
    );
}

#[test]
fn a_missing_key_is_shown_at_its_table_with_its_form() {
    check(
        r#"[functions.a]
timeout = "5m"

[functions.b]
"#,
        routes,
        r#"error: missing key `command`
 --> tripline.toml:1:1
  |
1 | [functions.a]
  | ^^^^^^^^^^^^^
  = help: it takes an array: `command = ["text"]`

error: missing key `command`
 --> tripline.toml:4:1
  |
4 | [functions.b]
  | ^^^^^^^^^^^^^
  = help: it takes an array: `command = ["text"]`

2 errors in tripline.toml
"#,
    );
    check(
        r#"user = "x""#,
        login,
        r#"error: missing key `secret_key`
 --> tripline.toml:1:1
  |
1 | user = "x"
  | ^
  = help: it takes { env = "NAME" } or { file = "path" }

1 error in tripline.toml
"#,
    );
    check(
        "",
        login,
        r#"error: missing key `secret_key`
 --> tripline.toml:1:1
  |
1 |
  | ^
  = help: it takes { env = "NAME" } or { file = "path" }

1 error in tripline.toml
"#,
    );
}

#[test]
fn a_wrong_value_is_neither_missing_nor_unknown() {
    check(
        r#"[functions.a]
command = "a"
"#,
        routes,
        r#"error: wrong value for `functions.a.command`: this is a string
 --> tripline.toml:2:11
  |
2 | command = "a"
  |           ^^^
  = help: expected an array, e.g. ["a"]

1 error in tripline.toml
"#,
    );
}

#[test]
fn a_text_where_an_array_belongs_is_shown_as_one() {
    for (key, text, example) in [
        ("command", "sh x.sh", r#"["sh", "x.sh"]"#),
        ("topics", " orders\t", r#"["orders"]"#),
        ("command", "a b c d e f", r#"["a", "b", "c", "d", …]"#),
        // Where a shell would not split, this does not know better.
        ("command", "sh -c 'a b'", r#"["text"]"#),
        ("command", "", r#"["text"]"#),
        ("command", &"a".repeat(65), r#"["text"]"#),
        // These may be secrets.
        ("tokens", "hunter2", r#"["text"]"#),
        ("headers", "hunter2", r#"["text"]"#),
        ("hosts", "u:hunter2@h", r#"["text"]"#),
    ] {
        let read = Document::new("f", format!("{key} = \"{text}\"\n"));
        let read = read.read(|root| root.optional::<Vec<String>>(key));
        let errors = read.expect_err(text);
        let help = errors.iter().next().and_then(|error| error.help.clone());
        let expected = format!("expected an array, e.g. {example}");
        assert_eq!(help, Some(expected), "{text}");
        assert!(!help.is_some_and(|help| help.contains("hunter2")));
    }
    let numbers = Document::new("f", "a = '1 2'").read(|root| root.optional::<Vec<u32>>("a"));
    let errors = numbers.expect_err("a text").to_string();
    assert!(errors.contains("e.g. [100]"), "{errors}");
}

#[test]
fn a_reader_that_gave_up_makes_no_unread_key_unknown() {
    check(
        r#"first = 1
second = "x"
"#,
        early,
        r#"error: wrong value for `first`: this is an integer
 --> tripline.toml:1:9
  |
1 | first = 1
  |         ^
  = help: expected a string, e.g. "text"

1 error in tripline.toml
"#,
    );
    check(
        r#"frist = "x"
second = "x"
"#,
        early,
        r#"error: unknown key `frist`
 --> tripline.toml:1:1
  |
1 | frist = "x"
  | ^^^^^
  = help: did you mean `first`, which is missing? allowed here: first

1 error in tripline.toml
"#,
    );
}

#[test]
fn closed_sets_list_what_is_allowed() {
    check(
        r#"[functions.a]
command = ["a"]
execution = "asnyc"
[functions.b]
command = ["b"]
execution = "later"
[functions.c]
command = ["c"]
execution = true
"#,
        routes,
        r#"error: unknown value `asnyc` for `functions.a.execution`
 --> tripline.toml:3:13
  |
3 | execution = "asnyc"
  |             ^^^^^^^
  = help: did you mean "async"? allowed: "async", "sync"

error: unknown value `later` for `functions.b.execution`
 --> tripline.toml:6:13
  |
6 | execution = "later"
  |             ^^^^^^^
  = help: allowed: "async", "sync"

error: wrong value for `functions.c.execution`: this is a boolean
 --> tripline.toml:9:13
  |
9 | execution = true
  |             ^^^^
  = help: allowed: "async", "sync"

3 errors in tripline.toml
"#,
    );
}

/// Gives up at the first wrong key.
pub(super) fn early(root: &mut Table<'_>) -> Option<(String, String)> {
    Some((root.required("first")?, root.required("second")?))
}

#[test]
fn asking_whether_a_key_is_there_does_not_take_it() {
    let errors = Document::new("f", "a = 1").read(|root| root.has("a").then_some(()));
    let errors = errors.expect_err("`a` was not taken");
    let found: Vec<_> = errors
        .iter()
        .map(|e| (e.line, e.column, e.path.as_str(), e.message.as_str()))
        .collect();
    assert_eq!(found, [(1, 1, "a", "unknown key `a`")]);
    assert_eq!(
        errors.iter().next().map(ToString::to_string).as_deref(),
        Some("f:1:1: unknown key `a`")
    );
}

#[test]
fn a_reader_that_gives_no_reason_is_still_an_error() {
    let errors = Document::new("f", "")
        .read(|_| None::<()>)
        .expect_err("nothing was read");
    let report =
        "error: the file was refused, and no reason was given\n --> f:1:1\n\n1 error in f\n";
    assert_eq!(errors.to_string(), report);
}

#[test]
fn the_nearest_name_is_near() {
    let known = [
        "command",
        "concurrency",
        "timeout",
        "max_event_age",
        "s",
        "id",
    ];
    let cases = [
        ("comand", Some("command")),
        ("Command", Some("command")),
        ("cocnurrency", Some("concurrency")),
        ("time-out", Some("timeout")),
        ("maxEventAge", Some("max_event_age")),
        ("ie", Some("id")),
        ("x", None),
        ("", None),
        ("memory", None),
    ];
    for (word, near) in cases {
        assert_eq!(nearest(word, known), near, "{word}");
    }
    assert_eq!(nearest(&"c".repeat(5_000_000), known), None);
}
