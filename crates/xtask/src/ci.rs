//! `cargo xtask ci`: the steps that a change must pass, one after the other.

use std::time::Duration;

use crate::failure::Outcome;
use crate::process::Limits;
use crate::time::{self, Stopwatch};
use crate::{deny, process, repo, signals, test, tidy};

/// A step's name and what it does; zero is a pass. It appends what it had to skip, unless it sums that up itself.
type Step = (&'static str, fn(&mut Vec<String>) -> Outcome<u8>);

/// Every step builds what the lock file says: one that does not fit is an error, not mended silently.
const LOCKED: &str = "--locked";

const STEPS: [Step; 5] = [
    ("format", |_| cargo(&["fmt", "--all", "--check"])),
    ("clippy", |_| {
        cargo(&[
            "clippy",
            LOCKED,
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    }),
    ("tidy", |_| tidy::run()),
    ("deny", deny::run),
    ("test", |_| test::run(&[LOCKED.to_owned()])),
];

/// Runs the steps up to the first that fails, then prints how long each took.
pub(crate) fn run() -> Outcome<u8> {
    let mut done: Vec<(&str, u8, Duration)> = Vec::new();
    let mut skips = Vec::new();
    for (name, step) in STEPS {
        eprintln!("\n==> {name}");
        let watch = Stopwatch::start();
        // A step that could not even run has failed; only an interruption ends all at once.
        let code = match step(&mut skips) {
            Err(failure) => {
                signals::check()?;
                eprintln!("xtask: {failure}");
                1
            }
            Ok(code) => code,
        };
        done.push((name, code, watch.elapsed()));
        if code != 0 {
            break;
        }
    }
    eprint!("{}{}", table(&done), skipped(&skips));
    Ok(done
        .iter()
        .map(|(_, code, _)| *code)
        .find(|code| *code != 0)
        .unwrap_or(0))
}

/// What the steps before the tests had to skip; those of the tests are summed up by their own step.
fn skipped(skips: &[String]) -> String {
    if skips.is_empty() {
        return String::new();
    }
    let lines: String = skips.iter().map(|skip| format!("  {skip}\n")).collect();
    format!(
        "==> SKIPPED lines besides the tests': {}\n{lines}",
        skips.len()
    )
}

fn cargo(args: &[&str]) -> Outcome<u8> {
    let status = process::run(&mut repo::cargo(args)?, Limits::STEP)?;
    signals::check()?;
    Ok(process::code(status))
}

fn table(done: &[(&str, u8, Duration)]) -> String {
    let mut text = String::from("\n==> summary\n");
    for (place, (name, _)) in STEPS.iter().enumerate() {
        let (verdict, took) = match done.get(place) {
            Some((_, 0, took)) => ("ok", time::text(*took)),
            Some((_, _, took)) => ("FAILED", time::text(*took)),
            None => ("not run", String::new()),
        };
        text.push_str(format!("  {name:<8} {verdict:<8} {took:>12}").trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_after_a_failure_are_shown_as_not_run() {
        let done = [
            ("format", 0, Duration::from_secs(1)),
            ("clippy", 101, Duration::from_secs(2)),
        ];
        let text = table(&done);
        assert!(text.contains("format   ok              1.0 s\n"), "{text}");
        assert!(text.contains("clippy   FAILED          2.0 s\n"), "{text}");
        assert!(text.ends_with("test     not run\n"), "{text}");
    }

    #[test]
    fn what_was_skipped_is_counted() {
        assert_eq!(skipped(&[]), "");
        let text = skipped(&["SKIPPED: advisories: none here".to_owned()]);
        assert!(text.contains("tests': 1\n  SKIPPED: advisories"), "{text}");
    }
}
