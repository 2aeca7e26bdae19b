//! Products that are broken on purpose in one way. Each way has its switch where the product does it right, under
//! `#[cfg(test)]` and on only where a variable names it: a test program that is started with it runs what is broken.

use std::env;
use std::process::{Command, Stdio};

const VARIABLE: &str = "TRIPLINE_MUTANT";

/// Whether this test program runs the product that is broken in this way.
pub fn is_mutant(name: &str) -> bool {
    env::var_os(VARIABLE).is_some_and(|named| named == name)
}

/// Runs a test of this test program with the product whole, and broken in this way: it passes, and fails. Prints who caught
/// it, which `cargo xtask mutants` shows.
///
/// # Panics
/// If the test does not pass, or passes with what is broken.
pub fn assert_caught(mutant: &str, package: &str, test: &str) {
    let run = |mutant: &str| {
        let mut command = Command::new(env::current_exe().expect("a test has a path"));
        let command = command.args(["--exact", test]).env(VARIABLE, mutant);
        let done = command.stdin(Stdio::null()).output().expect("it starts");
        String::from_utf8_lossy(&done.stdout).into_owned()
    };
    let (whole, broken) = (run(""), run(mutant));
    assert!(whole.contains(&format!("test {test} ... ok\n")), "{whole}");
    let failed = format!("test {test} ... FAILED\n");
    assert!(broken.contains(&failed), "{mutant} survived: {broken}");
    println!("{mutant:<22} caught by {package}::{test}");
}
