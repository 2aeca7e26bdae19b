//! Hostile and unusual text in files.

use super::{check, routes, settings};
use proptest::prelude::*;

use super::kafka;
use crate::Document;

#[test]
fn escapes_and_direction_marks_are_made_visible() {
    check(
        "[hub]\n\"\u{202e}evil\u{2066}\" = 1 # \u{200b}\n\"\\u001b[31mred\" = 2\n\"\u{9}tab\" = 3\n",
        settings,
        r#"error: unknown key `"\u{202e}evil\u{2066}"`
 --> tripline.toml:2:1
  |
2 | "\u{202e}evil\u{2066}" = 1 # \u{200b}
  | ^^^^^^^^^^^^^^^^^^^^^^
  = help: allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags

error: unknown key `"\u{1b}[31mred"`
 --> tripline.toml:3:1
  |
3 | "\u001b[31mred" = 2
  | ^^^^^^^^^^^^^^^
  = help: allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags

error: unknown key `"    tab"`
 --> tripline.toml:4:1
  |
4 | "    tab" = 3
  | ^^^^^^^^^
  = help: allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags

3 errors in tripline.toml
"#,
    );
    check(
        r#"[hub]
listen = "\u001b]0;x\u0007\n"
"#,
        settings,
        r#"error: wrong value for `hub.listen`: `\u{1b}]0;x\u{7}\u{a}` is not an address
 --> tripline.toml:2:10
  |
2 | listen = "\u001b]0;x\u0007\n"
  |          ^^^^^^^^^^^^^^^^^^^^
  = help: expected an IP address and a port, e.g. "127.0.0.1:8080"

1 error in tripline.toml
"#,
    );
    check(
        "[hub]\n\"\u{1b}[2J\" = 1\n",
        settings,
        r#"error: this is not TOML: invalid basic string, expected non-double-quote visible characters, `\`
 --> tripline.toml:2:2
  |
2 | "\u{1b}[2J" = ***
  |  ^^^^^^

1 error in tripline.toml; what needs the whole file is checked once its syntax is right
"#,
    );
    check(
        r#"[functions."\u001b[2J\r\n"]"#,
        routes,
        r#"error: `\u{1b}[2J\u{d}\u{a}` cannot be a name
 --> tripline.toml:1:1
  |
1 | [functions."\u001b[2J\r\n"]
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: a name is 1 to 63 of `a-z`, `0-9`, `-` and `_`, and starts with a letter or a digit; `2j` would do

error: missing key `command`
 --> tripline.toml:1:1
  |
1 | [functions."\u001b[2J\r\n"]
  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: it takes an array: `command = ["text"]`

2 errors in tripline.toml
"#,
    );
}

#[test]
fn columns_count_characters_and_carets_stand_under_them() {
    check(
        "[hub]\ntags = [\"äöü\", 1, \"日本\", 2, \"e\u{301}\", 3, \"😀\", 4]\n",
        settings,
        r#"error: wrong value for `hub.tags[1]`: this is an integer
 --> tripline.toml:2:16
  |
2 | tags = ["äöü", 1, "日本", 2, "é", 3, "😀", 4]
  |                ^
  = help: expected a string, e.g. "text"

error: wrong value for `hub.tags[3]`: this is an integer
 --> tripline.toml:2:25
  |
2 | tags = ["äöü", 1, "日本", 2, "é", 3, "😀", 4]
  |                           ^
  = help: expected a string, e.g. "text"

error: wrong value for `hub.tags[5]`: this is an integer
 --> tripline.toml:2:34
  |
2 | tags = ["äöü", 1, "日本", 2, "é", 3, "😀", 4]
  |                                   ^
  = help: expected a string, e.g. "text"

error: wrong value for `hub.tags[7]`: this is an integer
 --> tripline.toml:2:42
  |
2 | tags = ["äöü", 1, "日本", 2, "é", 3, "😀", 4]
  |                                            ^
  = help: expected a string, e.g. "text"

4 errors in tripline.toml
"#,
    );
    check(
        "[hub]\u{d}\nqsp = 1\u{d}\n",
        settings,
        r#"error: unknown key `qsp`
 --> tripline.toml:2:1
  |
2 | qsp = 1
  | ^^^
  = help: did you mean `qps`? allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags

1 error in tripline.toml
"#,
    );
    check(
        "\u{feff}[hub]\nqsp = 1\n",
        settings,
        r#"error: unknown key `qsp`
 --> tripline.toml:2:1
  |
2 | qsp = 1
  | ^^^
  = help: did you mean `qps`? allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags

1 error in tripline.toml
"#,
    );
}

#[test]
fn long_lines_are_cut_around_the_error() {
    check(
        r#"[hub]
tags = ["aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 5, "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"]
"#,
        settings,
        "error: wrong value for `hub.tags[1]`: this is an integer\n --> tripline.toml:2:213\n  |\n2 | \u{2026}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\", 5, \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\u{2026}\n  |                                          ^\n  = help: expected a string, e.g. \"text\"\n\n1 error in tripline.toml\n",
    );
    check(
        r#"[hub]
qsp = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
"#,
        settings,
        "error: unknown key `qsp`\n --> tripline.toml:2:1\n  |\n2 | qsp = \"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\u{2026}\n  | ^^^\n  = help: did you mean `qps`? allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags\n\n1 error in tripline.toml\n",
    );
    check(
        "[hub]\nbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb = 1\n",
        settings,
        "error: unknown key `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb`\n --> tripline.toml:2:1\n  |\n2 | bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\u{2026}\n  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  = help: allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags\n\n1 error in tripline.toml\n",
    );
    check(
        "[hub]\nccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc = 1 # bbbbbbbbbb\n",
        settings,
        "error: unknown key `ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc`\n --> tripline.toml:2:1\n  |\n2 | ccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc = 1 # bbbbbbb\u{2026}\n  | ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n  = help: allowed here: data_dir, listen, qps, push_share, max_body, drain, workers, port, limit, offset, json, tags\n\n1 error in tripline.toml\n",
    );
}

#[test]
fn a_very_long_key_does_not_fill_the_report() {
    let text = format!("[functions.{}]\nx = 1\n", "k".repeat(1_000_000));
    let errors = Document::new("f", text)
        .read(routes)
        .expect_err("the name is too long");
    assert!(
        errors.to_string().len() < 3_000,
        "{}",
        errors.to_string().len()
    );
}

/// Pieces that files are made of, right and wrong, in any order.
fn scraps() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        proptest::sample::select(vec![
            "[hub]\n",
            "[functions.a]\n",
            "[[functions]]\n",
            "[triggers]\n",
            "[",
            "]",
            "{",
            "}",
            "=",
            ".",
            ",",
            "\n",
            "\r",
            " ",
            "hub",
            "functions",
            "qps",
            "command",
            "secret_key",
            "topics",
            "\"",
            "'",
            "\"\"\"",
            "1",
            "true",
            "#",
            "\\",
            "\u{1b}",
            "\u{202e}",
            "é",
            "\u{feff}",
            "日",
            "0x",
            "1e",
            "2024-01-01",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,3}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_file_crashes_the_reader_or_reaches_the_terminal(text in scraps()) {
        let document = Document::new("f\u{1b}[2J", text);
        let readings = [
            document.read(|root| settings(root).map(drop)),
            document.read(|root| routes(root).map(drop)),
            document.read(|root| kafka(root).map(drop)),
        ];
        for errors in readings.into_iter().filter_map(Result::err) {
            prop_assert!(!errors.is_empty());
            for line in errors.to_string().lines() {
                prop_assert!(!line.contains(|c: char| c.is_control() || c == '\u{202e}' || c == '\u{feff}'), "{line:?}");
            }
        }
    }
}
