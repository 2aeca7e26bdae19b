//! `cargo xtask test`: every test with real services, and an honest closing summary.

use crate::failure::{Failure, Outcome};
use crate::process::Limits;
use crate::services::{Ports, Services};
use crate::time::Stopwatch;
use crate::{process, release, repo};

/// The package whose tests run the hub's real binary.
const END_TO_END: &str = "tripline-tests";

/// Names the hub's binary for those tests.
const BINARY: &str = "TRIPLINE_TEST_BIN";

/// The package whose tests kill the release binary.
const KILLS: &str = "tripline-crash";

/// Builds, starts the services, tests, sums up. The exit code is that of `cargo test`.
pub(crate) fn run(args: &[String]) -> Outcome<u8> {
    let watch = Stopwatch::start();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let (own, whole) = selection(&args);
    build(
        &[&["test", "--no-run"], own, &args[..]].concat(),
        "the tests",
    )?;
    let mut binary = None;
    if whole || names_package(&args, END_TO_END) {
        // With the same selection as above, or cargo builds the libraries twice.
        let packages = if whole {
            vec!["--workspace", "--bins"]
        } else {
            vec!["-p", "tripline"]
        };
        build(&[&["build"], &packages[..]].concat(), "the hub")?;
        binary = Some(repo::target_dir()?.join("debug/tripline"));
    }
    let kills = whole || names_package(&args, KILLS);
    if kills {
        release::build(ours(&args))?;
    }
    let services = Services::start(Ports::FREE)?;
    let mut command = repo::cargo(&[&["test"], own, &args[..]].concat())?;
    if let Some(binary) = binary {
        command.env(BINARY, binary);
    }
    if kills {
        release::hand_to(&mut command)?;
    }
    let code = services.run(&mut command, Limits::STEP)?;
    eprint!("{}", summary(&services.summary(), &services.skips()));
    let verdict = if code == 0 { "passed" } else { "FAILED" };
    eprintln!("==> tests {verdict} in {}", watch.text());
    Ok(code)
}

/// What to add to the arguments, and whether all packages are tested.
fn selection(args: &[&str]) -> (&'static [&'static str], bool) {
    let chosen = ours(args)
        .iter()
        .any(|arg| is_package_option(arg) || *arg == "--manifest-path");
    if chosen {
        (&[], false)
    } else {
        (&["--workspace"], true)
    }
}

fn names_package(args: &[&str], package: &str) -> bool {
    ours(args)
        .iter()
        .any(|arg| arg.trim_start_matches("-p").trim_start_matches('=') == package)
        || ours(args).contains(&format!("--package={package}").as_str())
}

/// The arguments for cargo; those after a second `--` are the test programs'.
fn ours<'a>(args: &'a [&'a str]) -> &'a [&'a str] {
    let end = args
        .iter()
        .position(|arg| *arg == "--")
        .unwrap_or(args.len());
    &args[..end]
}

fn is_package_option(arg: &str) -> bool {
    arg.starts_with("-p") || arg.starts_with("--package")
}

fn build(args: &[&str], what: &str) -> Outcome<()> {
    eprintln!("==> building {what}");
    // Arguments for the test programs mean nothing to a build.
    let mut command = repo::cargo(ours(args))?;
    match process::run(&mut command, Limits::STEP)? {
        status if status.success() => Ok(()),
        _ => crate::signals::check().and(Err(Failure::new(format!("building {what} failed")))),
    }
}

fn summary(services: &str, skips: &[String]) -> String {
    let mut text = format!("\n==> services of this run\n{services}");
    match skips.len() {
        0 => text.push_str("==> nothing was skipped\n"),
        count => text.push_str(&format!("==> SKIPPED lines in all: {count}\n")),
    }
    for skip in skips {
        // Tests wrote these: keep a stray escape sequence away from the terminal.
        let plain: String = skip.chars().filter(|c| !c.is_control()).collect();
        text.push_str(&format!("  {plain}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_narrow_the_selection_and_program_arguments_do_not() {
        assert!(selection(&[]).1);
        assert!(selection(&["--release", "--", "-p"]).1);
        assert!(!selection(&["-p", "xtask"]).1);
        assert!(!selection(&["-pxtask"]).1);
        assert!(!selection(&["--package=xtask"]).1);
    }

    #[test]
    fn a_package_is_named_in_each_way_that_cargo_knows() {
        for args in [
            &["-p", END_TO_END][..],
            &["-ptripline-tests"],
            &["--package=tripline-tests"],
        ] {
            assert!(names_package(args, END_TO_END), "{args:?}");
        }
        assert!(!names_package(&["-p", "tripline-model"], END_TO_END));
        assert!(!names_package(
            &["-p", "xtask", "--", END_TO_END],
            END_TO_END
        ));
    }

    #[test]
    fn the_summary_counts_and_shows_every_skip() {
        let text = summary(
            "  Kafka: there\n",
            &["SKIPPED: a\x1b[2J".into(), "SKIPPED: b".into()],
        );
        assert!(
            text.contains("SKIPPED lines in all: 2\n  SKIPPED: a[2J\n  SKIPPED: b\n"),
            "{text}"
        );
        assert!(summary("", &[]).contains("nothing was skipped"));
    }
}
