//! Finds dependencies that nobody uses: each takes its time in every build, and is one more to trust.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A member's dependency, as its code calls it.
struct Dependency<'a> {
    name: &'a str,
    package: &'a str,
    /// The folder of its manifest, from the root.
    folder: PathBuf,
}

/// Complains about each dependency of a member that no source file of the member names. `sources` are all of the
/// repository, with their paths from the root.
pub(super) fn check_members(
    metadata: &Value,
    root: &Path,
    sources: &[(PathBuf, String)],
) -> Vec<String> {
    let folders: BTreeSet<PathBuf> = members(metadata)
        .map(|member| folder(member, root))
        .collect();
    let unused = members(metadata).flat_map(|member| {
        let of_member = folder(member, root);
        let all = member["dependencies"].as_array().into_iter().flatten();
        all.map(move |to| Dependency {
            name: to["rename"]
                .as_str()
                .or(to["name"].as_str())
                .unwrap_or_default(),
            package: member["name"].as_str().unwrap_or_default(),
            folder: of_member.clone(),
        })
    });
    let unused = unused.filter(|one| {
        let own = sources.iter().filter(|(path, _)| {
            // The innermost member is the one that a file belongs to.
            let mut above = path.ancestors();
            above.find(|dir| folders.contains(*dir)) == Some(&one.folder)
        });
        !own.into_iter().any(|(_, text)| names(text, one.name))
    });
    let mut complaints: Vec<String> = unused
        .map(|one| format!("{}: nothing uses its dependency {}", one.package, one.name))
        .collect();
    // One that is there for the code and for its tests is one complaint.
    complaints.dedup();
    complaints
}

/// Complains about each dependency that the root manifest offers, and no member takes.
pub(super) fn check_offers(metadata: &Value, root_manifest: &str) -> Vec<String> {
    let taken: BTreeSet<&str> = members(metadata)
        .flat_map(|member| member["dependencies"].as_array().into_iter().flatten())
        .filter_map(|to| to["rename"].as_str().or(to["name"].as_str()))
        .collect();
    let (_, section) = root_manifest
        .split_once("[workspace.dependencies]")
        .unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with('['));
    let offered = lines.filter_map(|line| Some(line.split_once('=')?.0.trim()));
    offered
        .filter(|name| !taken.contains(name))
        .map(|name| format!("Cargo.toml: no member takes {name}"))
        .collect()
}

/// Complains about sections of a manifest in which nothing is.
pub(super) fn check_sections(package: &str, manifest: &str) -> Vec<String> {
    let mut complaints = Vec::new();
    let mut lines = manifest
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .peekable();
    while let Some(line) = lines.next() {
        let is_empty = lines.peek().is_none_or(|next| next.starts_with('['));
        if line.ends_with("dependencies]") && is_empty {
            complaints.push(format!("{package}: its Cargo.toml has an empty {line}"));
        }
    }
    complaints
}

fn members(metadata: &Value) -> impl Iterator<Item = &Value> {
    metadata["packages"].as_array().into_iter().flatten()
}

fn folder(member: &Value, root: &Path) -> PathBuf {
    let manifest = Path::new(member["manifest_path"].as_str().unwrap_or_default());
    let folder = manifest.parent().unwrap_or(manifest);
    folder.strip_prefix(root).unwrap_or(folder).to_owned()
}

/// Whether code names the crate: `name::…`, which is no part of a longer path, or `use name;`.
fn names(text: &str, dependency: &str) -> bool {
    let name = dependency.replace('-', "_");
    let (path, whole) = (format!("{name}::"), format!("use {name};"));
    let code = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    code.into_iter().any(|line| {
        let begins = |at: usize| {
            let before = line[..at].chars().next_back();
            !before.is_some_and(|char| char.is_alphanumeric() || char == '_' || char == ':')
        };
        line.contains(&whole) || line.match_indices(&path).any(|(at, _)| begins(at))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_crate_is_named_by_a_path_that_begins_with_it() {
        for text in [
            "use tokio_util::sync::X;",
            "    fn f() -> tokio_util::X {",
            "use tokio_util;",
            "#[tokio_util::main]",
        ] {
            assert!(names(text, "tokio-util"), "{text}");
        }
        for text in [
            "// tokio_util::X",
            "use axum::tokio_util::X;",
            "my_tokio_util::X",
            "let tokio_util = 1;",
            "",
        ] {
            assert!(!names(text, "tokio-util"), "{text}");
        }
    }

    #[test]
    fn what_no_file_of_a_member_names_is_named() {
        let metadata = json!({ "packages": [
            {
                "name": "outer",
                "manifest_path": "/r/tests/Cargo.toml",
                "dependencies": [{ "name": "serde" }, { "name": "tokio", "rename": "rt" }],
            },
            {
                "name": "inner",
                "manifest_path": "/r/tests/inner/Cargo.toml",
                "dependencies": [{ "name": "serde" }],
            },
        ] });
        let source = |path: &str, text: &str| (PathBuf::from(path), text.to_owned());
        let found = check_members(
            &metadata,
            Path::new("/r"),
            &[
                source("tests/src/lib.rs", "rt::spawn();"),
                source("tests/inner/src/lib.rs", "use serde::Serialize;"),
                source("other/lib.rs", "use serde::Serialize;"),
            ],
        );
        assert_eq!(found, ["outer: nothing uses its dependency serde"]);
    }

    #[test]
    fn what_no_member_takes_is_named() {
        let metadata = json!({ "packages": [{ "dependencies": [{ "name": "serde" }] }] });
        let manifest = "[workspace.dependencies]\nserde = \"1\"\nhttp = { version = \"1\" }\n\n[profile.dev]\ndebug = false\n";
        let found = check_offers(&metadata, manifest);
        assert_eq!(found, ["Cargo.toml: no member takes http"]);
    }

    #[test]
    fn an_empty_section_is_named() {
        let full = "[dependencies]\n# Why.\nserde = \"1\"\n";
        assert_eq!(check_sections("a", full), Vec::<String>::new());
        for empty in [
            "[dependencies]\n",
            "[dev-dependencies]\n\n[lints]\nworkspace = true\n",
        ] {
            assert_eq!(check_sections("a", empty).len(), 1, "{empty}");
        }
    }
}
