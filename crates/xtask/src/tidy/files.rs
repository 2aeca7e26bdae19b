//! Checks of single files: their size, their place, and words that must not be in them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Longest source file, tests included.
const MAX_LINES: usize = 400;

/// What every kind of trigger consists of, so that who knows one kind finds their way in all.
const TRIGGER_FILES: [&str; 5] = [
    "README.md",
    "src/lib.rs",
    "src/config.rs",
    "src/event.rs",
    "src/run.rs",
];

/// Paths outside the repository, which mean nothing to its readers. (In pieces, or this file
/// would complain about itself.)
const FOREIGN_PATHS: [&str; 2] = [concat!("..", "/shared"), concat!("/", "work", "/")];

/// The only files that may lift the ban on unsafe code, each with its reason written in it.
const UNSAFE: [&str; 1] = ["tests/simulation/src/vfs.rs"];

/// How the ban is lifted. (In pieces, as above.)
const LIFTS: [&str; 2] = [
    concat!("allow(un", "safe_code"),
    concat!("expect(un", "safe_code"),
];

/// Unsafe code has no place in what is handed out.
pub(super) fn check_unsafe(path: &Path, bytes: &[u8]) -> Option<String> {
    let text: String = String::from_utf8_lossy(bytes).split_whitespace().collect();
    let lifted = LIFTS.iter().any(|lift| text.contains(lift));
    let allowed = UNSAFE.iter().any(|one| Path::new(one) == path);
    (lifted && !allowed).then(|| format!("{}: allows unsafe code", path.display()))
}

/// Where SKIPPED may be printed: the helper of all tests, and what counts such lines or is no test.
const SAY_SKIPPED: [&str; 3] = ["tests/skipped", "crates/xtask", "crates/bench"];

/// A test that did not run says so through `tripline_skipped::skipped`: else nobody counts it.
pub(super) fn check_skips(path: &Path, bytes: &[u8]) -> Vec<String> {
    if SAY_SKIPPED.iter().any(|folder| path.starts_with(folder)) {
        return Vec::new();
    }
    let text = String::from_utf8_lossy(bytes);
    let lines = text.lines().enumerate();
    lines
        .filter(|(_, line)| line.contains("\"SKIPPED"))
        .map(|(number, _)| {
            let place = format!("{}:{}", path.display(), number + 1);
            format!("{place}: a skip that nobody counts: use `tripline_skipped::skipped`")
        })
        .collect()
}

pub(super) fn lines(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| **byte == b'\n').count()
}

pub(super) fn check_sizes(sizes: &[(usize, &Path)]) -> Vec<String> {
    let long = sizes.iter().filter(|(lines, _)| *lines > MAX_LINES);
    long.map(|(lines, path)| format!("{}: {lines} lines, {MAX_LINES} at most", path.display()))
        .collect()
}

/// How many files, and how long they are: `12 source files, median 90 lines, longest 210 (PATH)`.
pub(super) fn describe(sizes: &mut [(usize, &Path)]) -> String {
    sizes.sort();
    let Some((longest, path)) = sizes.last() else {
        return "no source files".to_owned();
    };
    let median = sizes[sizes.len() / 2].0;
    format!(
        "{} source files, median {median} lines, longest {longest} ({})",
        sizes.len(),
        path.display()
    )
}

/// Paths of the machine on which something was written have no place in the repository.
pub(super) fn check_text(path: &Path, bytes: &[u8]) -> Vec<String> {
    let text = String::from_utf8_lossy(bytes);
    let mut complaints = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for foreign in FOREIGN_PATHS.iter().filter(|foreign| holds(line, foreign)) {
            let place = format!("{}:{}", path.display(), number + 1);
            complaints.push(format!(
                "{place}: names a path outside the repository: {foreign}"
            ));
        }
    }
    complaints
}

/// Whether the path starts there, rather than being the middle of a longer one.
fn holds(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(place, _)| {
        let before = line[..place].chars().next_back();
        !before.is_some_and(|letter| letter.is_alphanumeric() || "._-/~".contains(letter))
    })
}

/// Every folder in `triggers/` has the same files.
pub(super) fn check_trigger_layout(files: &[PathBuf]) -> Vec<String> {
    let kinds: BTreeSet<&Path> = files
        .iter()
        .filter(|file| file.file_name().is_some_and(|name| name == "Cargo.toml"))
        .filter_map(|file| file.parent())
        .filter(|folder| folder.parent() == Some(Path::new("triggers")))
        .collect();
    let wanted = kinds
        .iter()
        .flat_map(|kind| TRIGGER_FILES.map(|file| kind.join(file)));
    wanted
        .filter(|file| !files.contains(file))
        .map(|file| format!("{}: missing; every kind of trigger has it", file.display()))
        .collect()
}

/// Whether a manifest says `[lints]` and then `workspace = true`.
pub(super) fn inherits_lints(manifest: &str) -> bool {
    let lines = manifest.lines().map(str::trim);
    let mut section = lines.skip_while(|line| *line != "[lints]").skip(1);
    section
        .by_ref()
        .take_while(|line| !line.starts_with('['))
        .any(|line| line == "workspace = true")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_four_hundred_lines_pass_and_longer_ones_do_not() {
        let path = Path::new("a.rs");
        assert_eq!(lines(b"one\ntwo\n"), 2);
        assert!(check_sizes(&[(400, path)]).is_empty());
        assert_eq!(
            check_sizes(&[(401, path)]),
            ["a.rs: 401 lines, 400 at most"]
        );
        let text = describe(&mut [(9, path), (1, path), (4, path)]);
        assert_eq!(text, "3 source files, median 4 lines, longest 9 (a.rs)");
    }

    #[test]
    fn foreign_paths_are_found_with_their_line() {
        let text = format!("fine\nsee {}/x\n", FOREIGN_PATHS[0]);
        let complaints = check_text(Path::new("a.md"), text.as_bytes());
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].starts_with("a.md:2: "), "{complaints:?}");
        assert_eq!(
            check_text(Path::new("a"), FOREIGN_PATHS[1].as_bytes()).len(),
            1
        );
        let longer = format!("src{}mod.rs and ../{}", FOREIGN_PATHS[1], FOREIGN_PATHS[0]);
        assert!(
            check_text(Path::new("a"), longer.as_bytes()).is_empty(),
            "middle of a path"
        );
    }

    #[test]
    fn unsafe_code_is_allowed_in_one_place_only() {
        let text = format!("#![{}, reason = \"because\")]", LIFTS[1]);
        let spread = text.replace('(', "(\n    ");
        for text in [text, spread] {
            let found = check_unsafe(Path::new("crates/a/src/lib.rs"), text.as_bytes());
            assert_eq!(
                found.as_deref(),
                Some("crates/a/src/lib.rs: allows unsafe code")
            );
            assert_eq!(check_unsafe(Path::new(UNSAFE[0]), text.as_bytes()), None);
        }
    }

    #[test]
    fn a_skip_that_nobody_counts_is_found() {
        let text = b"fine\nprintln!(\"SKIPPED: a disk\");\n";
        let complaints = check_skips(Path::new("crates/a/src/tests.rs"), text);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].starts_with("crates/a/src/tests.rs:2: a skip"));
        for folder in SAY_SKIPPED {
            assert!(check_skips(&Path::new(folder).join("src/a.rs"), text).is_empty());
        }
    }

    #[test]
    fn a_trigger_without_one_of_its_files_is_named() {
        let mut files: Vec<PathBuf> = TRIGGER_FILES
            .iter()
            .map(|file| Path::new("triggers/mqtt").join(file))
            .collect();
        files.push("triggers/mqtt/Cargo.toml".into());
        assert!(check_trigger_layout(&files).is_empty());
        files.retain(|file| !file.ends_with("event.rs"));
        let complaints = check_trigger_layout(&files);
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(
            complaints[0].starts_with("triggers/mqtt/src/event.rs: missing"),
            "{complaints:?}"
        );
    }

    #[test]
    fn lints_must_be_inherited_in_their_own_section() {
        assert!(inherits_lints(
            "[package]\nname = \"a\"\n\n[lints]\nworkspace = true\n"
        ));
        assert!(!inherits_lints("[package]\nname = \"a\"\n"));
        assert!(!inherits_lints(
            "[lints]\n[dependencies.x]\nworkspace = true\n"
        ));
    }
}
