//! What every test may use: how it reports that it did not run ([`skipped`] prints one line that `cargo xtask test`
//! counts), how large it makes a fault ([`full`]), and whether it notices a product that is broken ([`assert_caught`]).

mod full;
mod mutant;

pub use full::full;
pub use mutant::{assert_caught, is_mutant};

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;

/// Says aloud that a test did not run, and has it counted. `cargo xtask test` adds these lines up.
pub fn skipped(what: &str, reason: &str) {
    note(
        what,
        reason,
        std::env::var_os("TRIPLINE_TEST_SKIPS").as_deref(),
    );
}

fn note(what: &str, reason: &str, list: Option<&OsStr>) {
    let line = format!("SKIPPED: {what}: {reason}\n");
    eprint!("{line}");
    if let Some(list) = list {
        let mut file = File::options()
            .append(true)
            .create(true)
            .open(list)
            .expect("skips can be noted");
        // In one piece: many tests write at the same time.
        file.write_all(line.as_bytes()).expect("skips can be noted");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_skip_is_a_line_in_the_list() {
        let dir = tempfile::tempdir().unwrap();
        let list = dir.path().join("skips");
        note("one", "no disk", Some(list.as_os_str()));
        note("two", "no root", Some(list.as_os_str()));
        note("three", "nobody counts", None);
        assert_eq!(
            std::fs::read_to_string(list).unwrap(),
            "SKIPPED: one: no disk\nSKIPPED: two: no root\n"
        );
    }
}
