//! The end-to-end tests as a proof: how many of each module passed and how many were skipped, as the test program
//! reports it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::Services;
use crate::time::Stopwatch;
use crate::{release, repo, signals};

/// Runs all of them on the release binary, and appends what came of them to `file`.
pub(super) fn prove(services: &Services, file: &Path) -> Outcome<()> {
    eprintln!("==> end-to-end tests");
    let log = repo::tools()?.join("evidence-suite.log");
    let output = File::create(&log).map_err(|error| Failure::file("create", &log, error))?;
    let suite = ["test", "-p", "tripline-tests", "--test", "e2e"];
    // A test that passed hides what it printed, and with that why it was skipped. At full size a test needs the machine for
    // itself.
    let mut command =
        repo::cargo(&[&suite[..], &["--", "--show-output", "--test-threads=1"]].concat())?;
    command
        .env("TRIPLINE_TEST_BIN", release::binary()?)
        .env("TRIPLINE_TEST_FULL", "1")
        .stdout(output);
    let watch = Stopwatch::start();
    let code = services.run(&mut command, Limits::PERSON)?;
    signals::check()?;
    let text = fs::read(&log).map_err(|error| Failure::file("read", &log, error))?;
    let text = String::from_utf8_lossy(&text);
    let Some(mut proof) = read(&text).filter(|_| code == 0) else {
        let what = "the end-to-end tests failed, or did not print their result";
        return Err(Failure::new(format!("{what}: {}", log.display())));
    };
    proof["seconds"] = watch.elapsed().as_secs().into();
    let mut to = OpenOptions::new()
        .append(true)
        .open(file)
        .map_err(|error| Failure::file("open", file, error))?;
    writeln!(to, "{proof}").map_err(|error| Failure::file("write", file, error))
}

/// The outcome of the tests of a module.
#[derive(Default)]
struct Module {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// The figures, from what a test program printed with `--show-output`; `None` if a test is missing, for then they would
/// be those of something else.
fn read(text: &str) -> Option<Value> {
    let skips = skips(text);
    let mut modules = BTreeMap::<&str, Module>::new();
    let mut passed = 0;
    for (test, result) in text.lines().filter_map(result) {
        let module = test.split("::").next().unwrap_or(test);
        let module = modules.entry(module).or_default();
        passed += usize::from(result == "ok");
        match result {
            "ok" if skips.contains_key(test) => module.skipped += 1,
            "ok" => module.passed += 1,
            _ => module.failed += 1,
        }
    }
    let failed: usize = modules.values().map(|module| module.failed).sum();
    let skipped: usize = modules.values().map(|module| module.skipped).sum();
    if totals(text)? != [passed, failed] {
        return None;
    }
    let words: Map<String, Value> = modules
        .iter()
        .map(|(name, module)| ((*name).to_owned(), module.words().into()))
        .collect();
    Some(json!({
        "proof": "end_to_end",
        "tests": passed + failed,
        "passed": passed - skipped,
        "skipped": skipped,
        "failed": failed,
        "module": words,
        "skipped_because": skips,
    }))
}

/// `test NAME ... ok`.
fn result(line: &str) -> Option<(&str, &str)> {
    let (test, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    matches!(result, "ok" | "FAILED").then_some((test, result))
}

/// How many passed and failed, by the last line.
fn totals(text: &str) -> Option<[usize; 2]> {
    let line = text
        .lines()
        .rfind(|line| line.starts_with("test result: "))?;
    let count = |what: &str| {
        let (before, _) = line.split_once(what)?;
        before.rsplit(' ').next()?.parse().ok()
    };
    Some([count(" passed;")?, count(" failed;")?])
}

/// By test, what it printed when it did not run. A test that reports that it ran in part counts as skipped.
fn skips(text: &str) -> BTreeMap<&str, &str> {
    let (mut skips, mut test) = (BTreeMap::new(), "");
    for line in text.lines() {
        let begins = line.strip_prefix("---- ");
        if let Some(name) = begins.and_then(|line| line.strip_suffix(" stdout ----")) {
            test = name;
        } else if let Some(why) = line.strip_prefix("SKIPPED: ") {
            skips.entry(test).or_insert(why);
        }
    }
    skips
}

// === impl Module ===

impl Module {
    fn words(&self) -> String {
        let counts = [
            (self.passed, "passed"),
            (self.skipped, "skipped"),
            (self.failed, "failed"),
        ];
        let counts = counts.iter().filter(|(count, _)| *count > 0);
        let words: Vec<_> = counts
            .map(|(count, what)| format!("{count} {what}"))
            .collect();
        words.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What libtest prints.
    const RUN: &str = "
running 4 tests
test check::every_mistake_at_once ... ok
test hostile::crowds::twins ... ok
test hostile::heads::smuggled ... ok
test kafka::records::once ... ok

successes:

---- hostile::crowds::twins stdout ----
SKIPPED: twins: only root sees the descriptors of a hub

---- kafka::records::once stdout ----
1s go by: the broker is slow
SKIPPED: kafka: no Kafka
SKIPPED: kafka: no SASL

successes:
    check::every_mistake_at_once

test result: ok. 4 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s
";

    #[test]
    fn each_module_has_its_figures() {
        let proof = read(RUN).unwrap();
        let module = json!({
            "check": "1 passed",
            "hostile": "1 passed, 1 skipped",
            "kafka": "1 skipped",
        });
        assert_eq!(proof["module"], module);
        assert_eq!(
            [
                &proof["tests"],
                &proof["passed"],
                &proof["skipped"],
                &proof["failed"]
            ],
            [4, 2, 2, 0]
        );
        assert_eq!(
            proof["skipped_because"]["kafka::records::once"],
            "kafka: no Kafka"
        );
    }

    #[test]
    fn a_test_that_failed_is_not_hidden() {
        let failed = RUN
            .replace("smuggled ... ok", "smuggled ... FAILED")
            .replace("ok. 4 passed; 0 failed", "FAILED. 3 passed; 1 failed");
        let proof = read(&failed).unwrap();
        assert_eq!(proof["module"]["hostile"], "1 skipped, 1 failed");
        assert_eq!(proof["failed"], 1);
    }

    #[test]
    fn a_run_that_is_not_whole_has_no_figures() {
        let cut = RUN.split("test result").next().unwrap();
        assert!(read(cut).is_none());
        let lost = RUN.replace("test hostile::heads::smuggled ... ok\n", "");
        assert!(read(&lost).is_none());
        assert!(read("").is_none());
    }
}
