//! Values: wrong kinds and ranges, and what the right ones become.

use super::{check, settings};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use super::{Settings, read};
use crate::{ByteSize, Document, Rate};

#[test]
fn wrong_kinds_say_what_is_there_and_what_is_expected() {
    check(
        r#"[hub]
data_dir = 5
listen = true
qps = 1.5
push_share = "20%"
max_body = [1]
drain = 2024-01-01
workers = "4"
port = {}
limit = "1"
offset = false
json = "yes"
tags = "a"
"#,
        settings,
        r#"error: wrong value for `hub.data_dir`: this is an integer
 --> tripline.toml:2:12
  |
2 | data_dir = 5
  |            ^
  = help: expected a path, e.g. "./data"

error: wrong value for `hub.listen`: this is a boolean
 --> tripline.toml:3:10
  |
3 | listen = true
  |          ^^^^
  = help: expected an IP address and a port, e.g. "127.0.0.1:8080"

error: wrong value for `hub.qps`: this is a float
 --> tripline.toml:4:7
  |
4 | qps = 1.5
  |       ^^^
  = help: expected a whole number per second, at least 1, e.g. 1000 or "1000/s"

error: wrong value for `hub.push_share`: this is a string
 --> tripline.toml:5:14
  |
5 | push_share = "20%"
  |              ^^^^^
  = help: expected a number, e.g. 0.2

error: wrong value for `hub.max_body`: this is an array
 --> tripline.toml:6:12
  |
6 | max_body = [1]
  |            ^^^
  = help: expected a size in B, KB, KiB, MB, MiB, GB, GiB, TB or TiB, e.g. "512KiB"

error: wrong value for `hub.drain`: this is a date
 --> tripline.toml:7:9
  |
7 | drain = 2024-01-01
  |         ^^^^^^^^^^
  = help: expected a duration in ms, s, m, h or d, e.g. "1h30m"

error: wrong value for `hub.workers`: this is a string
 --> tripline.toml:8:11
  |
8 | workers = "4"
  |           ^^^
  = help: expected an integer from 1 to 4294967295, e.g. 4

error: wrong value for `hub.port`: this is a table
 --> tripline.toml:9:8
  |
9 | port = {}
  |        ^^
  = help: expected an integer from 0 to 65535, e.g. 8080

error: wrong value for `hub.limit`: this is a string
  --> tripline.toml:10:9
   |
10 | limit = "1"
   |         ^^^
   = help: expected an integer from 0 to 18446744073709551615, e.g. 100

error: wrong value for `hub.offset`: this is a boolean
  --> tripline.toml:11:10
   |
11 | offset = false
   |          ^^^^^
   = help: expected an integer, e.g. 100

error: wrong value for `hub.json`: this is a string
  --> tripline.toml:12:8
   |
12 | json = "yes"
   |        ^^^^^
   = help: expected true or false

error: wrong value for `hub.tags`: this is a string
  --> tripline.toml:13:8
   |
13 | tags = "a"
   |        ^^^
   = help: expected an array, e.g. ["a"]

12 errors in tripline.toml
"#,
    );
}

#[test]
fn numbers_keep_to_their_range() {
    check(
        "[hub]\nworkers = 0\nport = 65536\nlimit = -1\noffset = 0x8000_0000_0000_0000\npush_share = inf\n",
        settings,
        r#"error: wrong value for `hub.workers`: 0 is too small
 --> tripline.toml:2:11
  |
2 | workers = 0
  |           ^
  = help: expected an integer from 1 to 4294967295, e.g. 4

error: wrong value for `hub.port`: 65536 is too large
 --> tripline.toml:3:8
  |
3 | port = 65536
  |        ^^^^^
  = help: expected an integer from 0 to 65535, e.g. 8080

error: wrong value for `hub.limit`: -1 is too small
 --> tripline.toml:4:9
  |
4 | limit = -1
  |         ^^
  = help: expected an integer from 0 to 18446744073709551615, e.g. 100

error: wrong value for `hub.offset`: 9223372036854775808 is too large
 --> tripline.toml:5:10
  |
5 | offset = 0x8000_0000_0000_0000
  |          ^^^^^^^^^^^^^^^^^^^^^
  = help: expected an integer, e.g. 100

error: wrong value for `hub.push_share`: this is not a finite number
 --> tripline.toml:6:14
  |
6 | push_share = inf
  |              ^^^
  = help: expected a number, e.g. 0.2

5 errors in tripline.toml
"#,
    );
    check(
        "[hub]\nlimit = 99999999999999999999999999999999999999999999\n",
        settings,
        r#"error: wrong value for `hub.limit`: the number is too large
 --> tripline.toml:2:9
  |
2 | limit = 99999999999999999999999999999999999999999999
  |         ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
  = help: expected an integer from 0 to 18446744073709551615, e.g. 100

1 error in tripline.toml
"#,
    );
}

#[test]
fn units_are_never_guessed() {
    check(
        r#"[hub]
drain = 30
max_body = 512
qps = "1000"
"#,
        settings,
        r#"error: wrong value for `hub.drain`: 30 has no unit: write "30s" if you mean seconds
 --> tripline.toml:2:9
  |
2 | drain = 30
  |         ^^
  = help: expected a duration in ms, s, m, h or d, e.g. "1h30m"

error: wrong value for `hub.max_body`: 512 has no unit: write "512B" if you mean bytes
 --> tripline.toml:3:12
  |
3 | max_body = 512
  |            ^^^
  = help: expected a size in B, KB, KiB, MB, MiB, GB, GiB, TB or TiB, e.g. "512KiB"

error: wrong value for `hub.qps`: `1000` does not end in `/s`
 --> tripline.toml:4:7
  |
4 | qps = "1000"
  |       ^^^^^^
  = help: expected a whole number per second, at least 1, e.g. 1000 or "1000/s"

3 errors in tripline.toml
"#,
    );
}

#[test]
fn each_wrong_item_is_its_own_error() {
    check(
        r#"[hub]
tags = ["a", 1, "b", true]
"#,
        settings,
        r#"error: wrong value for `hub.tags[1]`: this is an integer
 --> tripline.toml:2:14
  |
2 | tags = ["a", 1, "b", true]
  |              ^
  = help: expected a string, e.g. "text"

error: wrong value for `hub.tags[3]`: this is a boolean
 --> tripline.toml:2:22
  |
2 | tags = ["a", 1, "b", true]
  |                      ^^^^
  = help: expected a string, e.g. "text"

2 errors in tripline.toml
"#,
    );
}

#[test]
fn paths_hold_something() {
    check(
        r#"[hub]
data_dir = ""
"#,
        settings,
        r#"error: wrong value for `hub.data_dir`: the path is empty
 --> tripline.toml:2:12
  |
2 | data_dir = ""
  |            ^^
  = help: expected a path, e.g. "./data"

1 error in tripline.toml
"#,
    );
    check(
        r#"[hub]
data_dir = "a\u0000b"
"#,
        settings,
        r#"error: wrong value for `hub.data_dir`: a path cannot hold a NUL character
 --> tripline.toml:2:12
  |
2 | data_dir = "a\u0000b"
  |            ^^^^^^^^^^
  = help: expected a path, e.g. "./data"

1 error in tripline.toml
"#,
    );
}

#[test]
fn right_values_are_taken() {
    let text = r#"
[hub]
data_dir = "/var/lib/tripline"
listen = "[::1]:8080"
qps = "1000/s"
push_share = 0.2
max_body = "1MiB"
drain = "1h30m"
workers = 4
port = 65_535
limit = 0xffff_ffff_ffff
offset = -5
json = true
tags = ["a", "b"]
"#;
    let settings = Document::new("f", text)
        .read(super::settings)
        .expect("all is right");
    let expected = Settings {
        data_dir: PathBuf::from("/var/lib/tripline"),
        listen: "[::1]:8080".parse().ok(),
        qps: NonZeroU32::new(1000).map(Rate),
        push_share: Some(0.2),
        max_body: Some(ByteSize(1 << 20)),
        drain: Some(Duration::from_secs(5400)),
        workers: NonZeroU32::new(4),
        port: Some(65_535),
        limit: Some(0xffff_ffff_ffff),
        offset: Some(-5),
        json: true,
        tags: vec!["a".to_owned(), "b".to_owned()],
    };
    assert_eq!(settings, expected);
    assert_eq!(read::<f64>("1"), Some(1.0));
    assert_eq!(read::<u64>("18446744073709551615"), Some(u64::MAX));
    assert_eq!(
        read::<Rate>("7").map(|rate| rate.to_string()).as_deref(),
        Some("7/s")
    );
}
