//! The tests of the crates that meet the faults of brokers, stores, clocks and disks.

use std::path::Path;

use super::{Counts, SHOW, append, incomplete, output, read};
use crate::failure::Outcome;
use crate::repo;
use crate::services::Services;
use crate::time::Stopwatch;

/// Each with those of its tests that are run at full size, where there are such.
const CRATES: [(&str, Option<&str>); 4] = [
    ("tripline-cron", None),
    ("tripline-journal", Some("disk::bound")),
    ("tripline-kafka", Some("real::group")),
    ("tripline-s3", None),
];

/// Runs all of them, and appends what came of them to `file`.
pub(super) fn prove(services: &Services, file: &Path) -> Outcome<()> {
    let watch = Stopwatch::start();
    let mut all = Counts::default();
    for (name, large) in CRATES {
        eprintln!("==> tests of {name}");
        let mut text = one(services, name, large)?;
        if let Some(large) = large {
            text += &at_full_size(services, name, large)?;
        }
        all.add(name, &read(&text).ok_or_else(|| incomplete(name))?);
    }
    append(file, all.proof("crates", "crate"), &watch)
}

/// All but the large ones, beside each other.
fn one(services: &Services, name: &str, large: Option<&str>) -> Outcome<String> {
    let mut args = vec!["test", "-p", name, "--", SHOW];
    if let Some(large) = large {
        args.extend(["--skip", large]);
    }
    output(services, repo::cargo(&args)?, name)
}

/// One after the other: each needs the machine for itself.
fn at_full_size(services: &Services, name: &str, large: &str) -> Outcome<String> {
    let args = ["test", "-p", name, "--", SHOW, "--test-threads=1", large];
    let mut command = repo::cargo(&args)?;
    command.env("TRIPLINE_TEST_FULL", "1");
    output(services, command, name)
}

// === impl Counts ===

impl Counts {
    /// Takes what came of a crate's tests as one part.
    fn add(&mut self, name: &str, of_crate: &Self) {
        self.parts.insert(name.to_owned(), of_crate.sum());
        let skips = of_crate.skips.iter();
        let named = skips.map(|(test, why)| (format!("{name} {test}"), why.clone()));
        self.skips.extend(named);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_crate_is_a_part() {
        let run = |test: &str, skip: &str| {
            let end = "test result: ok. 1 passed; 0 failed; 0 ignored";
            let shown = format!("---- {test} stdout ----\n{skip}\n");
            read(&format!("test {test} ... ok\n{shown}{end}\n")).unwrap()
        };
        let mut all = Counts::default();
        all.add("tripline-cron", &run("a::b", "said"));
        all.add("tripline-s3", &run("a::b", "SKIPPED: a: no store"));
        let proof = all.proof("crates", "crate");
        let parts = json!({ "tripline-cron": "1 passed", "tripline-s3": "1 skipped" });
        assert_eq!(proof["crate"], parts);
        let skips = json!({ "tripline-s3 a::b": "a: no store" });
        assert_eq!(proof["skipped_because"], skips);
    }
}
