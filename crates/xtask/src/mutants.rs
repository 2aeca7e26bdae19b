//! `cargo xtask mutants`: hubs that are broken around the product are the simulation's to catch; those that are broken in
//! the product itself, of which only a test's build has the switch, the tests' beside it.

use std::process::Stdio;

use crate::failure::{Failure, Outcome};
use crate::{repo, signals, simulate};

/// What is broken in the product, and the package with the switch. The simulation has mutants of the same names, in what
/// stands there for these triggers. A test `tests::mutants::NAME` turns the switch on.
const IN_THE_PRODUCT: [(&str, &str); 3] = [
    ("commit-before-flush", "tripline-kafka"),
    ("no-topic-id", "tripline-kafka"),
    ("sequencer-only", "tripline-s3"),
];

/// Runs the simulation's mutants with `args`, and then those of the product that `args` name, or all.
pub(crate) fn run(args: &[String]) -> Outcome<u8> {
    let code = simulate::run("mutants", args)?;
    let wanted = wanted(args);
    if code != 0 || wanted.is_empty() {
        return Ok(code);
    }
    println!("{} of them in the product itself", wanted.len());
    let mut survived = false;
    for (mutant, package) in wanted {
        let said = ask(mutant, package)?;
        signals::check()?;
        let caught: Vec<_> = said.lines().filter(|one| is_catch(one, mutant)).collect();
        match caught.is_empty() {
            true => println!("{mutant:<22} NOTHING caught it:\n{said}"),
            false => println!("{}", caught.join("\n")),
        }
        survived |= caught.is_empty();
    }
    Ok(u8::from(survived))
}

/// Those that are named, or all where none is.
fn wanted(args: &[String]) -> Vec<(&'static str, &'static str)> {
    let is_file = |at: usize| at > 0 && args[at - 1] == "--json";
    let is_name = |(at, arg): &(usize, &String)| !arg.starts_with('-') && !is_file(*at);
    let names: Vec<_> = args.iter().enumerate().filter(is_name).collect();
    let is_wanted =
        |mutant: &str| names.is_empty() || names.iter().any(|(_, name)| *name == mutant);
    let is_help = args.iter().any(|arg| arg == "--help" || arg == "-h");
    let all = IN_THE_PRODUCT.into_iter();
    all.filter(|(mutant, _)| !is_help && is_wanted(mutant))
        .collect()
}

/// What its test prints, which is nothing of a catch where the test fails.
fn ask(mutant: &str, package: &str) -> Outcome<String> {
    let test = format!("tests::mutants::{}", mutant.replace('-', "_"));
    let of_it = ["--lib", "--", "--exact", &test, "--nocapture"];
    let output = repo::cargo(&[&["test", "--quiet", "-p", package][..], &of_it].concat())?
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| Failure::new(format!("cannot run cargo test: {error}")))?;
    Ok(match output.status.success() {
        true => String::from_utf8_lossy(&output.stdout).into_owned(),
        false => format!("its test failed, {}", output.status),
    })
}

fn is_catch(line: &str, mutant: &str) -> bool {
    line.starts_with(mutant) && line.contains(" caught by ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(args: &[&str]) -> Vec<&'static str> {
        let args: Vec<_> = args.iter().map(|arg| (*arg).to_owned()).collect();
        wanted(&args)
            .into_iter()
            .map(|(mutant, _)| mutant)
            .collect()
    }

    #[test]
    fn names_choose_and_options_do_not() {
        for all in [&[][..], &["--quick"], &["--quick", "--json", "file"]] {
            assert_eq!(names(all).len(), IN_THE_PRODUCT.len(), "{all:?}");
        }
        assert_eq!(names(&["no-sync", "no-topic-id"]), ["no-topic-id"]);
        assert_eq!(names(&["no-sync"]), [""; 0]);
        assert_eq!(names(&["--help"]), [""; 0]);
    }

    #[test]
    fn a_catch_names_its_mutant() {
        assert!(is_catch(
            "no-topic-id            caught by a test",
            "no-topic-id"
        ));
        assert!(!is_catch("running 0 tests", "no-topic-id"));
        assert!(!is_catch("sequencer-only caught by x", "no-topic-id"));
    }
}
