use tripline_config::Document;

use super::*;

fn read(body: &str) -> Result<Config, String> {
    let document = Document::new("tripline.toml", format!("[t]\n{body}\n"));
    let read = document.read(|root| root.section("t", Config::read));
    read.map_err(|errors| errors.to_string())
}

const LEAST: &str = "topics = ['orders']\n'bootstrap.servers' = 'k1:9092'\n";

/// Asserts that `body` is refused and that the report has all `words`.
fn refused(body: &str, words: &[&str]) {
    let report = read(body).expect_err(body);
    for word in words {
        assert!(
            report.contains(word),
            "no {word:?} in the report on\n{body}\n{report}"
        );
    }
}

#[test]
fn the_least_that_works() {
    let config = read(LEAST).unwrap();
    assert_eq!(config.topics, ["orders"]);
    assert_eq!(config.protocol, GroupProtocol::Classic);
    assert_eq!(config.reset, Reset::Latest);
    assert_eq!(config.null_value, NullValue::Deliver);
    assert_eq!(config.stall_after, Duration::from_secs(300));
    assert_eq!(config.group_id, None);
    let servers = Setting::Text("k1:9092".to_owned());
    assert_eq!(
        config.properties,
        [("bootstrap.servers".to_owned(), servers)]
    );
    assert_eq!(config.secrets(), []);
}

#[test]
fn dotted_and_quoted_keys_are_the_same() {
    let config = read(
        "topics = ['a', 'b']\nbootstrap.servers = 'k1:9092'\n\"group.id\" = 'g'\n\
         auto.offset.reset = 'earliest'\nnull_value = 'skip'\nstall_after = '1m'\n\
         group.protocol = 'classic'\nsasl.username = 'u'\nsasl.password = { env = 'P' }\n\
         'max.poll.interval.ms' = 60000\n",
    )
    .unwrap();
    assert_eq!(config.group_id.as_deref(), Some("g"));
    assert_eq!(config.reset, Reset::Earliest);
    assert_eq!(config.null_value, NullValue::Skip);
    assert_eq!(config.secrets(), [SecretRef::Env("P".to_owned())]);
    let interval = Setting::Text("60000".to_owned());
    assert_eq!(config.setting("max.poll.interval.ms"), Some(&interval));
}

#[test]
fn what_the_hub_fixes_is_refused_with_the_reason() {
    for (line, reason) in [
        ("enable.auto.commit = true", "safe in its journal"),
        ("enable.auto.offset.store = true", "safe in its journal"),
        ("'plugin.library.paths' = 'x.so'", "not part of the hub"),
        ("ssl.engine.location = 'x.so'", "not part of the hub"),
        ("test.mock.num.brokers = 3", "simulation"),
        (
            "group.protocol = 'share'",
            "allowed: \"classic\", \"consumer\"",
        ),
        (
            "group.remote.assignor = 'range'",
            "`partition.assignment.strategy` says how",
        ),
        ("auto.offset.reset = 'error'", "\"earliest\", \"latest\""),
        ("sasl.oauthbearer.config = 'x'", "PLAIN and SCRAM"),
        ("sasl.passwort = 'x'", "did you mean `sasl.password`?"),
        ("session.timeout.ms = 0", "range 1..3600000"),
        ("session.timeout.ms = '45s'", "whole number of milliseconds"),
        ("fetch.max.bytes = '1MiB'", "whole number of bytes"),
        ("brokers = 'k1:9092'", "did you mean `bootstrap.servers`?"),
        ("compression.codec = 'zstd'", "allowed here: topics, "),
        (
            "security.protocol = 'tls'",
            "wrong value for `security.protocol`",
        ),
        ("stall_after = '1s'", "at least 10s"),
        ("group.id = ''", "`group.id` is empty"),
    ] {
        refused(&format!("{LEAST}{line}"), &[reason, "tripline.toml:4"]);
    }
}

#[test]
fn what_the_brokers_decide_is_not_set_here() {
    let consumer = format!("{LEAST}group.protocol = 'consumer'\n");
    let config = read(&format!("{consumer}group.remote.assignor = 'range'")).unwrap();
    assert_eq!(config.protocol, GroupProtocol::Consumer);
    for (line, instead) in [
        (
            "session.timeout.ms = 6000",
            "group.consumer.session.timeout.ms",
        ),
        (
            "heartbeat.interval.ms = 2000",
            "group.consumer.heartbeat.interval.ms",
        ),
        (
            "partition.assignment.strategy = 'range'",
            "group.remote.assignor",
        ),
    ] {
        read(&format!("{LEAST}{line}")).expect("the classic protocol has it");
        refused(&format!("{consumer}{line}"), &[instead, "tripline.toml:5"]);
    }
}

#[test]
fn a_misspelt_secret_is_not_shown() {
    for line in [
        "'sasl.pasword' = 'hunter2'",
        "sasl = { pasword = 'hunter2' }",
        "ssl.key.pme = 'hunter2'",
    ] {
        let report = read(&format!("{LEAST}{line}")).expect_err(line);
        assert!(report.contains("did you mean"), "{report}");
        assert!(!report.contains("hunter2"), "{report}");
    }
}

#[test]
fn secrets_are_not_written_in_the_file() {
    let body = format!("{LEAST}sasl.password = 'hunter2'");
    refused(
        &body,
        &["`sasl.password` is a secret", "{ env = \"NAME\" }"],
    );
    assert!(!read(&body).unwrap_err().contains("hunter2"));
}

#[test]
fn topics_are_named_exactly() {
    for (topics, word) in [
        ("[]", "`topics` is empty"),
        ("['^a.*']", "not by a pattern"),
        ("['a b']", "is not the name of a topic"),
        ("['..']", "is not the name of a topic"),
        ("['a', 'a']", "named twice"),
    ] {
        refused(
            &format!("topics = {topics}\n'bootstrap.servers' = 'k:1'"),
            &[word],
        );
    }
}

#[test]
fn all_errors_come_at_once() {
    let report = read("debug = 'all'\nauto.offset.reset = 'x'").unwrap_err();
    for word in [
        "`topics`",
        "`bootstrap.servers`",
        "`debug` cannot be set",
        "unknown value `x`",
    ] {
        assert!(report.contains(word), "{word}\n{report}");
    }
}
