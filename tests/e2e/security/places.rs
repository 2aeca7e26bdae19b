//! The fields of configurations that hold a secret or say where one is, found in the sources: each needs a canary.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::canaries::{CONFIG, places};

/// Fields that hold a secret or say where one is, and the places of [`CONFIG`] that fill them. A field that is not here
/// needs a place there, and a line here.
const FIELDS: [(&str, &[&str]); 10] = [
    (
        "crates/trigger/src/auth.rs: Bearer",
        &["bearer", "s3-bearer"],
    ),
    (
        "crates/tripline/src/config/http_function.rs: headers",
        &["http-header"],
    ),
    ("crates/tripline/src/config/program.rs: env", &["env"]),
    (
        "crates/tripline/src/config/role.rs: access_key",
        &["role-access"],
    ),
    (
        "crates/tripline/src/config/role.rs: secret_key",
        &["role-secret"],
    ),
    ("crates/tripline/src/config/traces.rs: headers", &["traces"]),
    (
        "triggers/kafka/src/config.rs: Secret",
        &[
            "kafka-user",
            "kafka-password",
            "kafka-key",
            "kafka-key-password",
            "kafka-store-password",
        ],
    ),
    (
        "triggers/s3/src/config.rs: access_key",
        &["s3-access", "s3-closed-access"],
    ),
    ("triggers/s3/src/config.rs: bearer", &["s3-bearer"]),
    (
        "triggers/s3/src/config.rs: secret_key",
        &["s3-secret", "s3-closed-secret"],
    ),
];

/// The sources of configurations, below the repository's folder.
fn config_sources() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("a repository");
    let mut sources: Vec<_> = fs::read_dir(root.join("crates/tripline/src/config"))
        .unwrap()
        .flatten()
        .map(|one| one.path())
        .collect();
    for kind in fs::read_dir(root.join("triggers")).unwrap().flatten() {
        sources.push(kind.path().join("src/config.rs"));
    }
    sources.push(root.join("crates/trigger/src/auth.rs"));
    sources.retain(|path| path.is_file() && !path.ends_with("tests.rs"));
    sources
        .iter()
        .map(|path| path.strip_prefix(root).unwrap().to_owned())
        .collect()
}

#[test]
fn every_place_for_a_secret_has_a_canary() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = BTreeSet::new();
    for source in config_sources() {
        let text = fs::read_to_string(root.join(&source)).unwrap();
        let text = text.split("#[cfg(test)]").next().unwrap();
        for line in text
            .lines()
            .map(str::trim)
            .filter(|line| !line.starts_with("//"))
        {
            let is_field = line.ends_with(',')
                && !line.contains("=>")
                && !line.contains('=')
                && !line.contains("fn ");
            if !is_field
                || !(line.contains("SecretRef") || line.contains("StringOrSecret"))
                || line.starts_with("use ")
            {
                continue;
            }
            let name = line
                .trim_start_matches("pub(crate) ")
                .trim_start_matches("pub ");
            let name = name.split([':', '(']).next().unwrap();
            if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.len() < line.len() - 1 {
                found.insert(format!("{}: {name}", source.display()));
            }
        }
    }
    let known: BTreeSet<_> = FIELDS
        .iter()
        .map(|(field, _)| (*field).to_owned())
        .collect();
    assert_eq!(found, known, "a new place for secrets needs a canary");
    let filled: BTreeSet<_> = FIELDS
        .iter()
        .flat_map(|(_, places)| places.iter().copied())
        .collect();
    assert_eq!(filled, places().into_iter().collect());
    // Kafka's own list of secret properties.
    let properties = fs::read_to_string(root.join("triggers/kafka/src/properties.rs")).unwrap();
    let secret = properties
        .split("const SECRET")
        .nth(1)
        .unwrap()
        .split("];")
        .next()
        .unwrap();
    for property in secret.split('"').skip(1).step_by(2) {
        assert!(
            CONFIG.contains(&format!("\"{property}\" = SECRET(")),
            "{property} needs a canary"
        );
    }
}
