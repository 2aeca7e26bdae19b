//! The functions' programs, and whose rights they get.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tripline_executor::check_user;

use super::{Checks, Finding};
use crate::config::{Config, Runs};
use crate::plain;

/// Begins the checks.
pub(super) fn checks(config: &Config, checks: &mut Checks) {
    for function in &config.functions {
        if let Runs::Program(program) = &function.runs {
            let (folder, word) = (config.folder.clone(), program.command[0].clone());
            let name = format!("program of {}", function.function.name);
            checks.add_blocking(&name, move || self::program(&folder, &word));
            if let Some(user) = program.user.clone() {
                let name = format!("user of {}", function.function.name);
                checks.add_blocking(&name, move || user_of(&user));
            }
        }
    }
}

/// Whether functions can get the rights of `name`.
fn user_of(name: &str) -> Finding {
    match check_user(name) {
        Ok(()) => Finding::good(format!("`{name}` is there")),
        Err(why) => Finding::bad(
            why,
            "every run would fail: make the user (`useradd --system NAME`) and run the hub as root, which some containers \
             leave without CAP_SETUID or CAP_SETGID, or take `user` out",
        ),
    }
}

/// Where the executor would find the program.
fn program(folder: &Path, word: &str) -> Finding {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places: Vec<PathBuf> = if word.contains('/') {
        vec![folder.join(word)]
    } else {
        std::env::split_paths(&path)
            .map(|place| place.join(word))
            .collect()
    };
    let is_program = |place: &&PathBuf| {
        fs::metadata(place)
            .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
    };
    match places.iter().find(is_program) {
        Some(place) => Finding::good(place.display().to_string()),
        None if word.contains('/') => Finding::bad(
            format!("there is no program at {}", plain(&places[0]).display()),
            "put it there (`chmod +x`), or correct `command`: its path begins in the configuration's folder",
        ),
        None => Finding::bad(
            format!("there is no program {word:?}"),
            "install it, write its whole path in `command`, or set PATH where the hub is started",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_is_told_with_the_place_where_it_was_looked_for() {
        let dir = tempfile::tempdir().unwrap();
        let found = program(dir.path(), "./x.sh");
        let place = dir.path().join("x.sh").display().to_string();
        assert_eq!(found.what, format!("there is no program at {place}"));
        assert!(!found.mend.contains("PATH"), "{}", found.mend);
        let found = program(dir.path(), "no-such-program-anywhere");
        assert!(found.mend.contains("PATH"), "{}", found.mend);
    }
}
