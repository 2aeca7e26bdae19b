//! Secrets: references only, and never shown.

use super::{check, login};
use std::path::PathBuf;

use crate::{Document, Secret, SecretError, SecretRef, StringOrSecret};

#[expect(clippy::too_many_lines, reason = "a table of cases")]
#[test]
fn a_secret_is_a_reference_and_its_value_is_never_shown() {
    check(
        r#"secret_key = "hunter2""#,
        login,
        r#"error: secrets are not written in the file: use { env = "NAME" } or { file = "path" }
 --> tripline.toml:1:14
  |
1 | secret_key = ***
  |              ^^^

1 error in tripline.toml
"#,
    );
    check(
        "secret_key = 12345\n",
        login,
        r#"error: wrong value for `secret_key`: this is an integer
 --> tripline.toml:1:14
  |
1 | secret_key = ***
  |              ^^^
  = help: expected { env = "NAME" } or { file = "path" }

1 error in tripline.toml
"#,
    );
    check(
        r#"secret_key = ["hunter2"]"#,
        login,
        r#"error: wrong value for `secret_key`: this is an array
 --> tripline.toml:1:14
  |
1 | secret_key = ***
  |              ^^^
  = help: expected { env = "NAME" } or { file = "path" }

1 error in tripline.toml
"#,
    );
    check(
        r#"secret_key = { value = "hunter2" }"#,
        login,
        r#"error: unknown key `value`
 --> tripline.toml:1:16
  |
1 | secret_key = { value = *** }
  |                ^^^^^
  = help: allowed here: env, file

1 error in tripline.toml
"#,
    );
    check(
        r#"secret_key = { env = "A", file = "b" }"#,
        login,
        r#"error: wrong value for `secret_key`: both `env` and `file` are given
 --> tripline.toml:1:14
  |
1 | secret_key = { env = "A", file = "b" }
  |              ^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: expected { env = "NAME" } or { file = "path" }

1 error in tripline.toml
"#,
    );
    check(
        r#"secret_key = { env = "A", password = "hunter2" }"#,
        login,
        r#"error: unknown key `password`
 --> tripline.toml:1:27
  |
1 | secret_key = { env = "A", password = *** }
  |                           ^^^^^^^^
  = help: allowed here: env, file

1 error in tripline.toml
"#,
    );
    check(
        "secret_key = {}\n",
        login,
        r#"error: wrong value for `secret_key`: neither `env` nor `file` is given
 --> tripline.toml:1:14
  |
1 | secret_key = {}
  |              ^^
  = help: expected { env = "NAME" } or { file = "path" }

1 error in tripline.toml
"#,
    );
    check(
        r#"secret_key = { env = "" }"#,
        login,
        r#"error: wrong value for `secret_key`: this cannot be the name of an environment variable
 --> tripline.toml:1:14
  |
1 | secret_key = { env = "" }
  |              ^^^^^^^^^^^^
  = help: expected { env = "NAME" } or { file = "path" }

1 error in tripline.toml
"#,
    );
    check(
        r#"secret_key = { env = "A=B" }"#,
        login,
        r#"error: wrong value for `secret_key`: this cannot be the name of an environment variable
 --> tripline.toml:1:14
  |
1 | secret_key = { env = "A=B" }
  |              ^^^^^^^^^^^^^^^
  = help: expected { env = "NAME" } or { file = "path" }

1 error in tripline.toml
"#,
    );
    check(
        "secret_key = { env = 5 }\n",
        login,
        r#"error: wrong value for `secret_key.env`: this is an integer
 --> tripline.toml:1:22
  |
1 | secret_key = { env = 5 }
  |                      ^
  = help: expected a string, e.g. "text"

1 error in tripline.toml
"#,
    );
    check(
        r#"secret_key = { evn = "A" }"#,
        login,
        r#"error: unknown key `evn`
 --> tripline.toml:1:16
  |
1 | secret_key = { evn = *** }
  |                ^^^
  = help: did you mean `env`? allowed here: env, file

1 error in tripline.toml
"#,
    );
}

#[test]
fn values_that_look_secret_are_hidden_wherever_the_error_is() {
    check(
        r#"secret_key = { env = "A" }
passwrod = 1
"sasl.password" = "hunter2"
auth = { bearer = "hunter2", x = 1 }
"#,
        login,
        r#"error: unknown key `passwrod`
 --> tripline.toml:2:1
  |
2 | passwrod = ***
  | ^^^^^^^^
  = help: allowed here: secret_key, user

error: unknown key `"sasl.password"`
 --> tripline.toml:3:1
  |
3 | "sasl.password" = ***
  | ^^^^^^^^^^^^^^^
  = help: allowed here: secret_key, user

error: unknown key `auth`
 --> tripline.toml:4:1
  |
4 | auth = { bearer = ***, x = 1 }
  | ^^^^
  = help: allowed here: secret_key, user

3 errors in tripline.toml
"#,
    );
    check(
        r#"secret_key = "hunter2"
secret_key = "hunter2"
"#,
        login,
        r#"error: secrets are not written in the file: use { env = "NAME" } or { file = "path" }
 --> tripline.toml:1:14
  |
1 | secret_key = ***
  |              ^^^

error: duplicate key `secret_key`
 --> tripline.toml:2:1
  |
2 | secret_key = ***
  | ^^^^^^^^^^
  = help: a table has each key once, and each table is written once

2 errors in tripline.toml
"#,
    );
    check(
        r#"secret_key = "hunter2"#,
        login,
        r#"error: this is not TOML: invalid basic string, expected `"`
 --> tripline.toml:1:22
  |
1 | secret_key = ***
  |                 ^

1 error in tripline.toml; what needs the whole file is checked once its syntax is right
"#,
    );
    check(
        r#"secret_key = """
hunter2
hunter2"""
"#,
        login,
        r#"error: secrets are not written in the file: use { env = "NAME" } or { file = "path" }
 --> tripline.toml:1:14
  |
1 | secret_key = ***
  |              ^^^

1 error in tripline.toml
"#,
    );
    check(
        "  secret_key: hunter2\n",
        login,
        r#"error: this is not TOML: key with no value, expected `=`
 --> tripline.toml:1:15
  |
1 |   secret_key: ***
  |               ^^^

1 error in tripline.toml; what needs the whole file is checked once its syntax is right
"#,
    );
}

#[test]
fn nothing_is_shown_below_a_key_that_may_be_a_misspelt_secret() {
    for (text, shown) in [
        ("secrt_key = 'hunter2'", "secrt_key = ***"),
        (
            "secrt_key = { valeu = 'hunter2', env = 'A' }",
            "secrt_key = { valeu = ***, env = 'A' }",
        ),
        ("usr = 'u'", "usr = 'u'"),
    ] {
        let report = refused(text);
        assert!(report.contains("did you mean"), "{report}");
        assert!(report.contains(&format!("1 | {shown}\n")), "{report}");
    }
}

#[test]
fn what_is_for_others_is_hidden_with_what_is_beside_it() {
    for (text, shown) in [
        (
            "headers = { x-key = 'hunter2', file = 'hunter2', y = { env = 'A' } }",
            "headers = { x-key = ***, file = ***, y = { env = 'A' } }",
        ),
        (
            "env = { DB = ['hunter2'], KEY = 'hunter2' }",
            "env = { DB = [***], KEY = *** }",
        ),
        (
            "f = { authorization = 'hunter2', Cookie = 'hunter2', DB_PASS = 'hunter2' }",
            "f = { authorization = ***, Cookie = ***, DB_PASS = *** }",
        ),
        (
            "f = { url = 'u:hunter2@h', a = 'b@c', b = ['http://u:hunter2@h/'] }",
            "f = { url = ***, a = 'b@c', b = [***] }",
        ),
        ("env = { KEY = 'hunter2', B = }", "env = ***"),
        ("headers = { a = 'hunter2' b = 'c' }", "headers = ***"),
        ("url = 'http://u:hunter2@h", "url = ***"),
    ] {
        let report = refused(text);
        assert!(report.contains(&format!("1 | {shown}\n")), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }
}

fn refused(text: &str) -> String {
    let read = Document::new("f", text).read(login);
    read.expect_err(text).to_string()
}

#[test]
fn a_string_or_secret_takes_both() {
    check(
        r#"secret_key = { env = "A" }
user = 5
"#,
        login,
        r#"error: wrong value for `user`: this is an integer
 --> tripline.toml:2:8
  |
2 | user = 5
  |        ^
  = help: expected a string, { env = "NAME" } or { file = "path" }

1 error in tripline.toml
"#,
    );
}

#[test]
fn references_are_read() {
    let read = |text: &str| {
        Document::new("f", text)
            .read(login)
            .expect("nothing is wrong")
    };
    let (env, file) = (
        SecretRef::Env("A".to_owned()),
        SecretRef::File(PathBuf::from("k")),
    );
    assert_eq!(
        read("secret_key.env = 'A'"),
        (env.clone(), StringOrSecret::Text("admin".to_owned()))
    );
    let text = "secret_key = { file = 'k' }\nuser = { env = 'A' }";
    assert_eq!(read(text), (file.clone(), StringOrSecret::Secret(env)));
    assert_eq!(
        read("secret_key = { file = 'k' }\nuser = 'u'"),
        (file, StringOrSecret::Text("u".to_owned()))
    );
}

#[test]
fn a_secret_is_never_printed() {
    let secret = Secret::new("hunter2");
    assert_eq!(format!("{secret:?}"), "Secret(***)");
    assert_eq!(secret.expose(), "hunter2");
    let errors = Document::new("f", "secret_key = 'hunter2'\nuser = 1")
        .read(login)
        .expect_err("both are wrong");
    assert!(
        !format!("{errors:?} {errors}").contains("hunter2"),
        "{errors:?}"
    );
}

#[test]
fn secret_errors_name_the_place() {
    let env = SecretRef::Env("S3_KEY".to_owned());
    assert_eq!(
        SecretError::NotSet(env).to_string(),
        "environment variable `S3_KEY` is not set"
    );
    let file = SecretRef::File(PathBuf::from("k\u{1b}[2J"));
    assert_eq!(
        SecretError::Empty(file).to_string(),
        "file `k\\u{1b}[2J` is empty"
    );
}
