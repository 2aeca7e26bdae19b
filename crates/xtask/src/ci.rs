//! `cargo xtask ci`: the steps that a change must pass, one after the other.

use std::time::Duration;

use crate::failure::Outcome;
use crate::process::Limits;
use crate::time::{self, Stopwatch};
use crate::{process, repo, signals, test, tidy};

/// A step's name and what it does; zero is a pass.
type Step = (&'static str, fn() -> Outcome<u8>);

const STEPS: [Step; 4] = [
    ("format", || cargo(&["fmt", "--all", "--check"])),
    ("clippy", || {
        cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--",
            "-D",
            "warnings",
        ])
    }),
    ("tidy", tidy::run),
    ("test", || test::run(&[])),
];

/// Runs the steps up to the first that fails, then prints how long each took.
pub(crate) fn run() -> Outcome<u8> {
    let mut done: Vec<(&str, u8, Duration)> = Vec::new();
    for (name, step) in STEPS {
        eprintln!("\n==> {name}");
        let watch = Stopwatch::start();
        // A step that could not even run has failed; only an interruption ends all at once.
        let code = match step() {
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
    eprint!("{}", table(&done));
    Ok(done
        .iter()
        .map(|(_, code, _)| *code)
        .find(|code| *code != 0)
        .unwrap_or(0))
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
}
