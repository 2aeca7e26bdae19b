//! Files that are not TOML, or say things twice, or are too large.

use super::{check, routes, settings};
use crate::{Document, MAX_DOCUMENT_BYTES};

#[test]
fn what_is_not_toml_is_shown_where_it_is() {
    check(
        "[hub]\nqps 10\nport = \n[unclosed\njson: true\njson = tru\nb = 01\n",
        settings,
        r#"error: this is not TOML: key with no value, expected `=`
 --> tripline.toml:2:5
  |
2 | qps ***
  |     ^^^

error: this is not TOML: string values must be quoted, expected literal string
 --> tripline.toml:3:8
  |
3 | port =
  |        ^

error: this is not TOML: unclosed table, expected `]`
 --> tripline.toml:4:10
  |
4 | [unclosed
  |          ^

error: this is not TOML: key with no value, expected `=`
 --> tripline.toml:5:7
  |
5 | json: ***
  |       ^^^

4 errors in tripline.toml; what needs the whole file is checked once its syntax is right
"#,
    );
    check(
        r#"[hub]
tags = ["a", 
"#,
        settings,
        r#"error: this is not TOML: unclosed array, expected `]`
 --> tripline.toml:2:13
  |
2 | tags = ***
  |           ^

1 error in tripline.toml; what needs the whole file is checked once its syntax is right
"#,
    );
    check(
        r#"[hub]
data_dir = "a"#,
        settings,
        r#"error: this is not TOML: invalid basic string, expected `"`
 --> tripline.toml:2:14
  |
2 | data_dir = ***
  |               ^

1 error in tripline.toml; what needs the whole file is checked once its syntax is right
"#,
    );
}

#[test]
fn errors_before_a_syntax_error_are_kept_and_doubtful_ones_are_not() {
    check(
        r#"[functions.a]
comand = ["a"]
timeout = 5

[triggers.x]
function = "b"
route = "x

[functions.b]
"#,
        routes,
        r#"error: unknown key `comand`
 --> tripline.toml:2:1
  |
2 | comand = ["a"]
  | ^^^^^^
  = help: did you mean `command`, which is missing? allowed here: command, execution, timeout

error: wrong value for `functions.a.timeout`: 5 has no unit: write "5s" if you mean seconds
 --> tripline.toml:3:11
  |
3 | timeout = 5
  |           ^
  = help: expected a duration in ms, s, m, h or d, e.g. "1h30m"

error: this is not TOML: invalid basic string, expected `"`
 --> tripline.toml:7:11
  |
7 | route = ***
  |            ^

3 errors in tripline.toml; what needs the whole file is checked once its syntax is right
"#,
    );
}

#[test]
fn duplicates_do_not_hide_other_errors() {
    check(
        r#"[hub]
qps = 1
qps = 2
port = "x"

[hub]
limi = 1
"#,
        settings,
        r#"error: duplicate key `qps`
 --> tripline.toml:3:1
  |
3 | qps = ***
  | ^^^
  = help: a table has each key once, and each table is written once

error: wrong value for `hub.port`: this is a string
 --> tripline.toml:4:8
  |
4 | port = "x"
  |        ^^^
  = help: expected an integer from 0 to 65535, e.g. 8080

error: duplicate key `hub`
 --> tripline.toml:6:2
  |
6 | [hub]
  |  ^^^
  = help: a table has each key once, and each table is written once

error: unknown key `limi`
 --> tripline.toml:7:1
  |
7 | limi = 1
  | ^^^^
  = help: did you mean `limit`? allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags

4 errors in tripline.toml
"#,
    );
}

#[test]
fn a_huge_file_is_refused() {
    let limit = "#".repeat(MAX_DOCUMENT_BYTES);
    assert!(
        Document::new("f", limit.as_str())
            .read(|_| Some(()))
            .is_ok()
    );
    let errors = Document::new("f", limit + "#")
        .read(|_| Some(()))
        .expect_err("one byte too many");
    let report =
        "error: the file is longer than 4 MiB, the most that is read\n --> f:1:1\n\n1 error in f\n";
    assert_eq!(errors.to_string(), report);
}

#[test]
fn many_errors_are_counted_and_the_first_hundred_shown() {
    let text: String = (0..3000).map(|n| format!("k{n} = 1\n")).collect();
    let errors = Document::new("f", text)
        .read(|_| Some(()))
        .expect_err("no key is known");
    assert_eq!(errors.len(), 100);
    assert!(
        errors
            .to_string()
            .ends_with("\n3000 errors in f, the first 100 shown\n"),
        "{errors}"
    );
}

#[test]
fn deep_nesting_is_an_error_not_a_crash() {
    for deep in [
        "a = ".to_owned() + &"[".repeat(100_000),
        "a".to_owned() + &".a".repeat(100_000) + " = 1",
        "a = ".to_owned() + &"{a=".repeat(100_000),
    ] {
        assert!(
            Document::new("f", deep)
                .read(|root| Some(root.rest()))
                .is_err()
        );
    }
}
