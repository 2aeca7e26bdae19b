//! The whole list of properties of librdkafka, against those that may be set here.

use tripline_config::Document;

use super::*;
use crate::config::Config;

/// The file: a line of words, the version, and a name a line.
const DOCUMENTED: &str = include_str!("librdkafka.txt");

/// Read by the trigger itself, not passed on as they are.
const OWN: [&str; 3] = ["auto.offset.reset", "group.id", "group.protocol"];

/// Files that the operator names for TLS. They are read as every `{ file = "path" }` is, and say nothing when they
/// cannot be.
const FILES_OF_TLS: [&str; 4] = [
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.keystore.location",
];

fn documented() -> impl Iterator<Item = &'static str> {
    DOCUMENTED.lines().skip(2)
}

/// The errors of a configuration with this property.
fn report(name: &str, value: &str) -> Result<(), String> {
    let text = format!(
        "[t]\ntopics = ['orders']\n'bootstrap.servers' = 'k1:9092'\n{} = {value}\n",
        toml_key(name)
    );
    let read = Document::new("tripline.toml", text).read(|root| root.section("t", Config::read));
    read.map(|_| ()).map_err(|errors| errors.to_string())
}

fn toml_key(name: &str) -> String {
    let escaped: String = name
        .chars()
        .map(|c| format!("\\u{:04x}", u32::from(c)))
        .collect();
    format!("\"{escaped}\"")
}

#[test]
fn the_list_is_that_of_the_library_that_is_built_in() {
    let (_, version) = rdkafka::util::get_rdkafka_version();
    let listed = DOCUMENTED.lines().nth(1).expect("a version");
    assert_eq!(
        listed, version,
        "look at what is new in librdkafka's CONFIGURATION.md, and write `librdkafka.txt` anew out of it"
    );
    assert!(documented().count() > 180);
    for name in settable() {
        assert!(
            documented().any(|known| known == name),
            "{name} is no property"
        );
    }
}

#[test]
fn a_number_is_known_by_the_end_of_its_name() {
    let librdkafka_takes = |name: &str, value: &str| {
        let mut probe = rdkafka::ClientConfig::new();
        probe.set(name, value);
        probe.create_native_config().is_ok()
    };
    let mut numbers = 0;
    for name in settable() {
        // What librdkafka reads as a number it takes with anything behind that, but not without a digit.
        let number = librdkafka_takes(name, "100000x") && !librdkafka_takes(name, "x");
        assert_eq!(counts(name).is_some(), number, "{name}");
        numbers += u32::from(number);
        if number {
            assert_eq!(report(name, "100000"), Ok(()), "{name}");
            for wrong in ["'5m'", "'100000x'", "'1e5'", "''"] {
                let message = report(name, wrong).expect_err(name);
                assert!(message.contains("a whole number of"), "{message}");
            }
        }
    }
    assert!(numbers > 20);
}

#[test]
fn what_is_not_on_the_list_of_allowed_ones_is_an_error() {
    for name in documented() {
        let may_be_set = settable().any(|known| known == name) || OWN.contains(&name);
        if may_be_set || name == "bootstrap.servers" {
            continue;
        }
        for value in [
            "'/etc/passwd'",
            "'all'",
            "1",
            "true",
            "{ env = 'P' }",
            "{ file = '/etc/passwd' }",
        ] {
            let message = report(name, value).expect_err(name);
            let named = message.contains(&format!("`{name}` cannot be set"));
            assert!(
                named || message.contains(&format!("unknown key `{name}`")),
                "{message}"
            );
        }
    }
}

#[test]
fn nothing_that_runs_loads_reads_or_tells_is_allowed() {
    let dangerous = [
        "path",
        "library",
        "plugin",
        "engine",
        "provider",
        "_cb",
        "cmd",
        "kinit",
        "keytab",
        "interceptor",
        "opaque",
        "debug",
        "log",
        "statistics",
        "jwt",
        "oauthbearer",
        "mock",
        "location",
        "stores",
        "signal",
        "file",
    ];
    for name in settable() {
        let is_dangerous = dangerous.iter().any(|part| name.contains(part));
        assert_eq!(is_dangerous, FILES_OF_TLS.contains(&name), "{name}");
    }
    for name in ["password", "key.pem", "secret", "credential"] {
        for property in documented().filter(|property| property.contains(name)) {
            assert_ne!(
                verdict(property),
                Verdict::Allowed,
                "{property} is a secret"
            );
        }
    }
}

#[test]
fn other_spellings_of_a_property_are_no_property() {
    for name in [
        "plugin.library.paths",
        "ssl.engine.location",
        "bootstrap.servers",
        "client.id",
    ] {
        for other in [
            name.to_uppercase(),
            format!(" {name}"),
            format!("{name} "),
            format!("{name}\n"),
            format!("{name}\0"),
            format!("topic.{name}"),
            format!("default.topic.{name}"),
            name.replace('.', "_"),
            name.replace('e', "\u{435}"),
            format!("{name}\u{202e}"),
            format!("{name}=x"),
        ] {
            if other == name {
                continue;
            }
            let message = report(&other, "'x'").expect_err(&other);
            assert!(message.contains("unknown key"), "{other:?}: {message}");
            let raw = |c: char| c.is_control() && c != '\n' || c == '\u{202e}';
            assert!(!message.contains(raw), "{message:?}");
        }
    }
}

#[test]
fn a_value_cannot_bring_another_property_along() {
    let message = report("client.id", "\"a\\nplugin.library.paths=x.so\"");
    assert_eq!(
        message,
        Ok(()),
        "it is the value of one property, newline and all"
    );
    for value in ["\"\\u0000\"", "\"a\\u0000b\""] {
        let message = report("client.id", value);
        assert!(message.is_err(), "librdkafka would see half of it");
    }
}
