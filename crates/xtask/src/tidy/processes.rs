//! Who starts processes. What owns a function's process must outlive the hub, so a second way of starting one, in the hub
//! or in a trigger, is a decision that is made here, in the open.

use std::path::{Component, Path, PathBuf};

/// The only files of the product that start processes, each with what it starts.
const STARTERS: [(&str, &str); 3] = [
    ("crates/executor/src/process/launch.rs", "functions"),
    ("crates/executor/src/client/launch.rs", "the executor"),
    ("crates/tripline/src/doctor/machine.rs", "`timedatectl`"),
];

/// No part of what is handed out: they may start what they like.
const EXEMPT: [&str; 2] = ["crates/xtask", "crates/bench"];

/// How a process is started. The first are `std`'s and `tokio`'s, also under another name; the others the system's.
const STARTS: [&str; 7] = [
    "Command::new",
    "Command::from",
    "Command as ",
    "fork(",
    "posix_spawn",
    "execv",
    "clone3(",
];

/// A start where there should be none, and a file of the list that has none any more.
pub(super) fn check(sources: &[(PathBuf, String)]) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut seen = Vec::new();
    for (path, text) in sources.iter().filter(|(path, _)| is_product(path)) {
        let is_starter = STARTERS
            .iter()
            .any(|(starter, _)| Path::new(starter) == path);
        for number in starts(text) {
            match is_starter {
                true => seen.push(path.as_path()),
                false => complaints.push(format!(
                    "{}:{number}: starts a process: only the files named in xtask/src/tidy/processes.rs may",
                    path.display()
                )),
            }
        }
    }
    let idle = STARTERS
        .iter()
        .filter(|(starter, _)| !seen.contains(&Path::new(starter)));
    complaints.extend(idle.map(|(starter, what)| {
        format!("{starter}: does not start {what} any more: strike it out of xtask/src/tidy/processes.rs")
    }));
    complaints
}

/// `crates/NAME/src` and `triggers/NAME/src`, but for what is compiled for tests only.
pub(super) fn is_product(path: &Path) -> bool {
    let names: Vec<_> = path
        .components()
        .filter_map(|part| match part {
            Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    let is_source = matches!(names[..], ["crates" | "triggers", _, "src", ..]);
    let is_test = names
        .iter()
        .any(|name| matches!(*name, "tests" | "tests.rs"));
    is_source && !is_test && !EXEMPT.iter().any(|folder| path.starts_with(folder))
}

/// The lines on which a process is started, outside comments and the tests, which stand at a file's end.
fn starts(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let mut lines = text.lines().enumerate().peekable();
    while let Some((place, line)) = lines.next() {
        let line = line.trim();
        let is_module = |(_, next): &(usize, &str)| next.trim().starts_with("mod ");
        if line == "#[cfg(test)]" && lines.peek().is_some_and(is_module) {
            let (_, module) = lines.next().unwrap_or_default();
            if module.ends_with('{') {
                break;
            }
        } else if !line.starts_with("//") && STARTS.iter().any(|start| line.contains(start)) {
            found.push(place + 1);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files of the list, which start what they may, and one more.
    fn with(path: &str, text: &str) -> Vec<String> {
        let starters = STARTERS.map(|(path, _)| (path.into(), "Command::new(a)".to_owned()));
        let mut sources = starters.to_vec();
        sources.push((path.into(), text.to_owned()));
        check(&sources)
    }

    #[test]
    fn a_start_in_the_product_is_found_with_its_line() {
        for text in [
            "// why\nlet child = Command::new(\"sh\").spawn();\n",
            "fn a() {}\nuse tokio::process::Command as Child;\n",
            "#[cfg(test)]\nmod tests;\nmatch unsafe { fork() } {}\n",
        ] {
            for path in ["crates/runtime/src/a.rs", "triggers/http/src/a.rs"] {
                let complaints = with(path, text);
                assert_eq!(complaints.len(), 1, "{complaints:?}");
                let begins = complaints[0].starts_with(&format!("{path}:"));
                assert!(begins && complaints[0].contains(": starts a process"));
            }
        }
    }

    #[test]
    fn tests_and_what_is_not_handed_out_may_start_what_they_like() {
        let start = "Command::new(\"sh\")\n";
        for path in [
            "crates/runtime/src/tests.rs",
            "crates/runtime/src/a/tests/b.rs",
            "crates/runtime/tests/a.rs",
            "crates/xtask/src/a.rs",
            "crates/bench/src/a.rs",
            "tests/src/hub.rs",
        ] {
            assert_eq!(with(path, start), Vec::<String>::new(), "{path}");
        }
        let inner = format!("// Command::new\n#[cfg(test)]\nmod tests {{\n{start}}}\n");
        assert_eq!(
            with("crates/runtime/src/a.rs", &inner),
            Vec::<String>::new()
        );
    }

    #[test]
    fn a_file_of_the_list_that_starts_nothing_is_named() {
        let complaints = check(&[]);
        assert_eq!(complaints.len(), STARTERS.len(), "{complaints:?}");
        assert!(complaints[0].contains("does not start functions any more"));
    }
}
