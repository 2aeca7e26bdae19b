//! Pass-through properties.

use super::{check, kafka};
use crate::{Document, SecretRef};

#[test]
fn a_property_given_twice_is_an_error_however_it_is_written() {
    check(
        r#"topics = ["a"]
"a.b" = 1
a.b = 2
"#,
        kafka,
        r#"error: duplicate property `a.b`
 --> tripline.toml:3:7
  |
3 | a.b = 2
  |       ^
  = help: it is given first on line 2

1 error in tripline.toml
"#,
    );
}

#[test]
fn a_property_is_a_scalar_or_a_secret() {
    check(
        r#"topics = ["a"]
list = [1]
ratio = 0.5
sasl.password = { env = "A", file = "b" }
"#,
        kafka,
        r#"error: wrong value for `list`: this is an array
 --> tripline.toml:2:8
  |
2 | list = [1]
  |        ^^^
  = help: expected a string, an integer or a boolean

error: wrong value for `ratio`: this is a float
 --> tripline.toml:3:9
  |
3 | ratio = 0.5
  |         ^^^
  = help: expected a string, an integer or a boolean

error: wrong value for `sasl.password`: both `env` and `file` are given
 --> tripline.toml:4:17
  |
4 | sasl.password = { env = "A", file = "b" }
  |                 ^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: expected { env = "NAME" } or { file = "path" }

3 errors in tripline.toml
"#,
    );
}

#[test]
fn the_caller_can_refuse_a_property_at_its_place() {
    check(
        r#"topics = ["a"]
group.protocol = "consumer"
"#,
        kafka,
        r#"error: `group.protocol` is set by the hub
 --> tripline.toml:2:18
  |
2 | group.protocol = "consumer"
  |                  ^^^^^^^^^^

1 error in tripline.toml
"#,
    );
}

#[test]
fn properties_are_dotted_however_they_are_written_and_in_file_order() {
    let text = r#"
topics = ["orders"]
"bootstrap.servers" = "127.0.0.1:9092"
session.timeout.ms = 6000
enable.auto.commit = false
sasl = { username = "u", password = { env = "P" } }
[ssl]
"key.location" = "k.pem"
ca.location = { file = "ca" }
"#;
    let properties = Document::new("f", text)
        .read(kafka)
        .expect("nothing is wrong");
    let (env, file) = (SecretRef::Env("P".to_owned()), SecretRef::File("ca".into()));
    let shown: Vec<_> = properties
        .iter()
        .map(|(name, s)| {
            (
                name.as_str(),
                s.text.as_str(),
                s.secret.clone(),
                s.location.line,
            )
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("bootstrap.servers", "127.0.0.1:9092", None, 3),
            ("session.timeout.ms", "6000", None, 4),
            ("enable.auto.commit", "false", None, 5),
            ("sasl.username", "u", None, 6),
            ("sasl.password", "", Some(env), 6),
            ("ssl.key.location", "k.pem", None, 8),
            ("ssl.ca.location", "", Some(file), 9),
        ]
    );
}
