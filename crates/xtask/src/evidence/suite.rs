//! Tests as a proof: how many of each module or crate passed and how many were skipped, as the test programs report it.

mod crates;

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::Services;
use crate::time::Stopwatch;
use crate::{release, repo, signals};

/// Runs the tests of the crates that meet the world's faults, then the end-to-end tests, and appends what came of them to
/// `file`.
pub(super) fn prove(services: &Services, file: &Path) -> Outcome<()> {
    crates::prove(services, file)?;
    eprintln!("==> end-to-end tests");
    let suite = ["test", "-p", "tripline-tests", "--test", "e2e"];
    // At full size a test needs the machine for itself.
    let mut command = repo::cargo(&[&suite[..], &["--", SHOW, "--test-threads=1"]].concat())?;
    command
        .env("TRIPLINE_TEST_BIN", release::binary()?)
        .env("TRIPLINE_TEST_FULL", "1");
    let watch = Stopwatch::start();
    let text = output(services, command, "the end-to-end tests")?;
    let counts = read(&text).ok_or_else(|| incomplete("the end-to-end tests"))?;
    append(file, counts.proof("end_to_end", "module"), &watch)
}

/// A test that passed hides what it printed, and with that why it was skipped.
const SHOW: &str = "--show-output";

/// What these tests print; it is an error if one fails.
fn output(services: &Services, mut command: Command, what: &str) -> Outcome<String> {
    let log = repo::tools()?.join("evidence-suite.log");
    let to = File::create(&log).map_err(|error| Failure::file("create", &log, error))?;
    let code = services.run(command.stdout(to), Limits::PERSON)?;
    signals::check()?;
    if code != 0 {
        return Err(Failure::new(format!("{what} failed: {}", log.display())));
    }
    let text = fs::read(&log).map_err(|error| Failure::file("read", &log, error))?;
    Ok(String::from_utf8_lossy(&text).into_owned())
}

fn incomplete(what: &str) -> Failure {
    Failure::new(format!("{what} did not print their results"))
}

fn append(file: &Path, mut proof: Value, watch: &Stopwatch) -> Outcome<()> {
    proof["seconds"] = watch.elapsed().as_secs().into();
    let mut to = OpenOptions::new()
        .append(true)
        .open(file)
        .map_err(|error| Failure::file("open", file, error))?;
    writeln!(to, "{proof}").map_err(|error| Failure::file("write", file, error))
}

/// The outcome of some tests.
#[derive(Default)]
struct Tally {
    passed: usize,
    failed: usize,
    skipped: usize,
}

/// The figures of several parts, each by its name, and why tests were skipped.
#[derive(Default)]
struct Counts {
    parts: BTreeMap<String, Tally>,
    skips: BTreeMap<String, String>,
}

/// The figures by module, from what test programs printed with `--show-output`; `None` if a test is missing, for then they
/// would be those of something else.
fn read(text: &str) -> Option<Counts> {
    let skips = skips(text);
    let mut parts = BTreeMap::<String, Tally>::new();
    let mut ended = [0, 0];
    for (test, result) in text.lines().filter_map(result) {
        let module = test.split("::").next().unwrap_or(test);
        let tally = parts.entry(module.to_owned()).or_default();
        ended[usize::from(result != "ok")] += 1;
        match result {
            "ok" if skips.contains_key(test) => tally.skipped += 1,
            "ok" => tally.passed += 1,
            _ => tally.failed += 1,
        }
    }
    (totals(text)? == ended).then_some(Counts { parts, skips })
}

/// `test NAME ... ok`.
fn result(line: &str) -> Option<(&str, &str)> {
    let (test, result) = line.strip_prefix("test ")?.split_once(" ... ")?;
    matches!(result, "ok" | "FAILED").then_some((test, result))
}

/// How many passed and failed, by the last line of each program.
fn totals(text: &str) -> Option<[usize; 2]> {
    let lines = text
        .lines()
        .filter(|line| line.starts_with("test result: "));
    let totals = lines.map(|line| {
        let count = |what: &str| {
            let (before, _) = line.split_once(what)?;
            before.rsplit(' ').next()?.parse::<usize>().ok()
        };
        Some([count(" passed;")?, count(" failed;")?])
    });
    let add = |sum: [usize; 2], one: [usize; 2]| [sum[0] + one[0], sum[1] + one[1]];
    totals.reduce(|sum, one| Some(add(sum?, one?)))?
}

/// By test, what it printed when it did not run. A test that reports that it ran in part counts as skipped.
fn skips(text: &str) -> BTreeMap<String, String> {
    let (mut skips, mut test) = (BTreeMap::new(), "");
    for line in text.lines() {
        let begins = line.strip_prefix("---- ");
        if let Some(name) = begins.and_then(|line| line.strip_suffix(" stdout ----")) {
            test = name;
        } else if let Some(why) = line.strip_prefix("SKIPPED: ") {
            let skip = skips.entry(test.to_owned());
            skip.or_insert_with(|| why.to_owned());
        }
    }
    skips
}

// === impl Counts ===

impl Counts {
    /// The figures of all parts together.
    fn sum(&self) -> Tally {
        let parts = self.parts.values();
        parts.fold(Tally::default(), |sum, one| Tally {
            passed: sum.passed + one.passed,
            failed: sum.failed + one.failed,
            skipped: sum.skipped + one.skipped,
        })
    }

    /// As a proof of this name, whose parts are called so.
    fn proof(&self, name: &str, part: &str) -> Value {
        let sum = self.sum();
        let parts = self.parts.iter();
        let words: Map<String, Value> = parts
            .map(|(name, tally)| (name.clone(), tally.words().into()))
            .collect();
        json!({
            "proof": name,
            "tests": sum.passed + sum.skipped + sum.failed,
            "passed": sum.passed,
            "skipped": sum.skipped,
            "failed": sum.failed,
            part: words,
            "skipped_because": self.skips,
        })
    }
}

// === impl Tally ===

impl Tally {
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

    fn proof(text: &str) -> Value {
        read(text).unwrap().proof("end_to_end", "module")
    }

    #[test]
    fn each_module_has_its_figures() {
        let proof = proof(RUN);
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
        let proof = proof(&failed);
        assert_eq!(proof["module"]["hostile"], "1 skipped, 1 failed");
        assert_eq!(proof["failed"], 1);
    }

    #[test]
    fn programs_that_run_one_after_the_other_are_added() {
        assert_eq!(proof(&RUN.repeat(2))["tests"], 8);
        let half = format!("{RUN}{}", RUN.split("test result").next().unwrap());
        assert!(read(&half).is_none());
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
