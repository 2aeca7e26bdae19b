//! Tables: sections, names, places, and errors between tables.

use super::{check, routes, settings};
use crate::{Document, FromToml, SecretRef, Value, check_name};

#[test]
fn tables_are_tables() {
    check(
        "hub = 1\n",
        settings,
        r#"error: wrong value for `hub`: this is an integer
 --> tripline.toml:1:7
  |
1 | hub = 1
  |       ^
  = help: expected a table

1 error in tripline.toml
"#,
    );
    check(
        "functions = 1\n[triggers]\na = 1\n",
        routes,
        r#"error: wrong value for `functions`: this is an integer
 --> tripline.toml:1:13
  |
1 | functions = 1
  |             ^
  = help: expected tables `[functions.NAME]`

error: wrong value for `triggers.a`: this is an integer
 --> tripline.toml:3:5
  |
3 | a = 1
  |     ^
  = help: expected a table

2 errors in tripline.toml
"#,
    );
    check(
        r#"[[functions]]
command = ["a"]
"#,
        routes,
        r#"error: wrong value for `functions`: this is an array
 --> tripline.toml:1:1
  |
1 | [[functions]]
  | ^^^^^^^^^^^^^
  = help: expected tables `[functions.NAME]`

1 error in tripline.toml
"#,
    );
}

#[test]
fn errors_between_tables_are_shown_where_they_are() {
    check(
        r#"[functions.resize]
command = ["a"]
timeout = "25h"

[triggers.a]
function = "resise"
route = "POST /a"

[triggers.b]
function = "resize"
route = "POST /a"
"#,
        routes,
        r#"error: `timeout` is above the maximum of 24h
 --> tripline.toml:3:11
  |
3 | timeout = "25h"
  |           ^^^^^

error: there is no function `resise`
 --> tripline.toml:6:12
  |
6 | function = "resise"
  |            ^^^^^^^^
  = help: did you mean `resize`?

error: the route `POST /a` is taken
  --> tripline.toml:11:9
   |
11 | route = "POST /a"
   |         ^^^^^^^^^
   = help: by `triggers.a.route` on line 7

3 errors in tripline.toml
"#,
    );
}

#[test]
fn names_follow_the_rule() {
    check(
        r#"[functions."Resize Images"]
command = ["a"]
[functions._]
command = ["a"]
"#,
        routes,
        r#"error: `Resize Images` cannot be a name
 --> tripline.toml:1:1
  |
1 | [functions."Resize Images"]
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: a name is 1 to 63 of `a-z`, `0-9`, `-` and `_`, and starts with a letter or a digit; `resize-images` would do

error: `_` cannot be a name
 --> tripline.toml:3:1
  |
3 | [functions._]
  | ^^^^^^^^^^^^^
  = help: a name is 1 to 63 of `a-z`, `0-9`, `-` and `_`, and starts with a letter or a digit

2 errors in tripline.toml
"#,
    );
}

#[test]
fn nested_tables_know_their_path() {
    check(
        r#"[triggers.hook]
function = 1
route = { path = "/a" }
"#,
        routes,
        r#"error: wrong value for `triggers.hook.function`: this is an integer
 --> tripline.toml:2:12
  |
2 | function = 1
  |            ^
  = help: expected a string, e.g. "text"

error: wrong value for `triggers.hook.route`: this is a table
 --> tripline.toml:3:9
  |
3 | route = { path = "/a" }
  |         ^^^^^^^^^^^^^^^
  = help: expected a string, e.g. "text"

2 errors in tripline.toml
"#,
    );
}

#[test]
fn sections_come_in_file_order() {
    let text = "[f.b]\nx = 'n'\n[f.a.deep]\n[f.c]\n[g]\n[f.aa]\n";
    let names = Document::new("f", text).read(|root| {
        root.section("g", |_| Some(()));
        Some(root.sections("f", |name, table| {
            table.optional::<String>("x");
            table.section("deep", |_| Some(()));
            Some(format!(
                "{name} at {} line {}",
                table.path(),
                table.location("x").line
            ))
        }))
    });
    let names = names.expect("nothing is wrong");
    assert_eq!(
        names,
        [
            "b at f.b line 2",
            "a at f.a line 3",
            "c at f.c line 4",
            "aa at f.aa line 6"
        ]
    );
}

#[test]
fn names_have_a_rule() {
    let (longest, too_long) = ("a".repeat(63), "a".repeat(64));
    for name in ["a", "0", "resize-2", "a_b", longest.as_str()] {
        assert_eq!(check_name(name), Ok(()), "{name}");
    }
    for name in [
        "",
        "-a",
        "_a",
        "A",
        "a b",
        "a.b",
        "é",
        "../a",
        too_long.as_str(),
    ] {
        assert!(check_name(name).is_err(), "{name}");
    }
    let suggested = check_name(&too_long).expect_err("too long").to_string();
    assert!(
        suggested.ends_with(&format!("; `{longest}` would do")),
        "{suggested}"
    );
}

/// `"none"`, or a table: types of other crates can be either.
#[derive(Debug, PartialEq)]
enum Auth {
    None,
    Bearer(SecretRef),
}

impl FromToml for Auth {
    const EXPECTED: &'static str = "\"none\" or { bearer = .. }";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        if value.is_table() {
            let bearer = value.section(|table| table.required("bearer"));
            return bearer.map(Self::Bearer).ok_or_else(String::new);
        }
        if value.as_str() == Some("none") {
            Ok(Self::None)
        } else {
            Err(format!("this is {}", value.kind_name()))
        }
    }
}

#[test]
fn a_value_can_be_a_word_or_a_table() {
    let read = |text: &str| Document::new("f", text).read(|root| root.required::<Auth>("auth"));
    assert_eq!(read("auth = 'none'"), Ok(Auth::None));
    assert_eq!(
        read("auth.bearer.env = 'T'"),
        Ok(Auth::Bearer(SecretRef::Env("T".to_owned())))
    );
    check(
        "auth = { baerer = { env = \"T\" } }\n",
        |root| root.required::<Auth>("auth"),
        r#"error: unknown key `baerer`
 --> tripline.toml:1:10
  |
1 | auth = { baerer = { env = "T" } }
  |          ^^^^^^
  = help: did you mean `bearer`, which is missing? allowed here: bearer

1 error in tripline.toml
"#,
    );
}
