//! The metrics in the code, in the README and on the Grafana dashboard are the same.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::*;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<String> {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let words = text.split(|c: char| !letters(c));
    let metrics =
        words.filter(|word| word.starts_with("tripline_") || word.starts_with("process_"));
    metrics.map(str::to_owned).collect()
}

/// The names of metrics that some crate sets, through one of the macros.
fn written(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() {
            written(&path, found);
        } else if path.extension().is_some_and(|kind| kind == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            for start in ["counter!(", "gauge!(", "histogram!(", "show("] {
                for call in text.split(start).skip(1) {
                    let argument = call.trim_start().strip_prefix('"');
                    let name = argument.and_then(|rest| rest.split('"').next());
                    found.extend(name.map(names).unwrap_or_default());
                }
            }
        }
    }
}

#[test]
fn every_metric_that_is_written_is_described_and_every_described_one_is_written() {
    let mut found = BTreeSet::new();
    for folder in ["crates", "triggers"] {
        written(&root().join(folder), &mut found);
    }
    let known: BTreeSet<_> = METRICS
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    assert_eq!(found, known);
}

#[test]
fn the_readme_has_every_metric_with_its_labels_and_meaning() {
    let readme = fs::read_to_string(root().join("crates/tripline/README.md")).unwrap();
    for (name, kind, labels, meaning) in METRICS {
        let kind = format!("{kind:?}").to_lowercase();
        let row = format!("| `{name}` | {kind} | {labels} | {meaning} |");
        assert!(readme.contains(&row), "the README lacks:\n{row}");
    }
    let known: BTreeSet<_> = METRICS
        .iter()
        .map(|(name, ..)| (*name).to_owned())
        .collect();
    assert_eq!(
        names(&readme).difference(&known).collect::<Vec<_>>(),
        [""; 0]
    );
}

#[test]
fn the_grafana_board_shows_metrics_that_exist() {
    let text = fs::read_to_string(root().join("examples/grafana/tripline.json")).unwrap();
    let board: Value = serde_json::from_str(&text).expect("JSON");
    let panels = board["panels"].as_array().expect("panels");
    let kinds: BTreeMap<_, _> = METRICS
        .iter()
        .map(|(name, kind, ..)| (*name, *kind))
        .collect();
    let mut shown = BTreeSet::new();
    for target in panels
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"))
    {
        for name in names(target["expr"].as_str().expect("an expression")) {
            let plain = kinds.get(name.as_str()).copied();
            let of_buckets = name
                .strip_suffix("_bucket")
                .and_then(|base| kinds.get(base).copied());
            let good = matches!(plain, Some(Counter | Gauge)) || of_buckets == Some(Histogram);
            assert!(good, "there is no {name}: {target}");
            shown.insert(name.trim_end_matches("_bucket").to_owned());
        }
    }
    let all: BTreeSet<_> = kinds.keys().map(|name| (*name).to_owned()).collect();
    let missing: Vec<_> = all.difference(&shown).collect();
    assert_eq!(
        missing,
        ["tripline_build_info"],
        "metrics that the dashboard does not show"
    );
    let mut ids: Vec<_> = panels.iter().map(|panel| panel["id"].as_u64()).collect();
    ids.dedup();
    assert_eq!(ids.len(), panels.len(), "every panel has an id of its own");
}
