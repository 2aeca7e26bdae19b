//! The page: every figure is one that a proof wrote down.

use std::fmt::Write;

use serde_json::{Map, Value};

const HEAD: &str = "# Evidence

What was broken, how often, and what became of it. This page is written by `cargo xtask evidence`, out of the figures of
its runs; nothing here is written by hand. [README.md](README.md) says what each kind of test is.
";

/// A proof's title, and what it is, in a sentence or two.
fn title(proof: &str) -> (&str, &str) {
    match proof {
        "crash" => (
            "Kills under load",
            "The release binary with clients of all four triggers. Hub, executor and functions are killed alone and together, \
             the hub also while it starts and while it drains. `twice` counts RequestIds whose function began more than once, \
             by the functions' own ledger; `wrong` is what the checker found.",
        ),
        "steps" => (
            "A kill at every step",
            "The release binary, killed by strace at the first system call of a small piece of work, then at the second, and so \
             on until the work went through.",
        ),
        "power" => (
            "Power cuts",
            "The hub's data on ext4, whose journal is shut down under load: all that was not flushed is gone.",
        ),
        "simulation" => (
            "Simulated histories",
            "The real dispatcher and journal on a simulated disk, with a crash at every effect.",
        ),
        "mutants" => (
            "Hubs that are broken on purpose",
            "Each must be caught by the simulation. By which of its rules (simulation/README.md), by what that saw, and in which \
             history:",
        ),
        "crates" => (
            "Triggers and journal",
            "The tests of the crates that meet the faults of brokers, stores, clocks and disks, against real services where \
             those can be had.",
        ),
        "end_to_end" => (
            "End to end",
            "The release binary as a person runs it, by module; README.md says what each shows. A test that could not run, or \
             not all of it, is skipped, with its reason.",
        ),
        other => (other, ""),
    }
}

/// Lines for the head of the page: what, and its value.
pub(super) type Lines<'a> = Vec<(&'a str, &'a str)>;

/// The whole page.
pub(super) fn of(machine: &[(&str, &str)], proofs: &[Value]) -> String {
    let mut text = HEAD.to_owned();
    text.push_str("\n| | |\n|---|---|\n");
    for (name, value) in machine {
        row(&mut text, name, value);
    }
    for proof in proofs {
        let name = proof["proof"].as_str().unwrap_or("a proof without a name");
        let (title, what) = title(name);
        // Writing to a string cannot fail.
        let _ = write!(text, "\n## {title}\n\n{what}\n\n| | |\n|---|---:|\n");
        let fields = proof.as_object().cloned().unwrap_or_default();
        rows(&mut text, "", &fields);
    }
    text
}

fn rows(text: &mut String, prefix: &str, fields: &Map<String, Value>) {
    for (name, value) in fields.iter().filter(|(name, _)| *name != "proof") {
        let name = match prefix {
            "" => name.replace('_', " "),
            prefix => format!("{prefix}: {name}"),
        };
        match value {
            Value::Object(inner) => rows(text, &name, inner),
            Value::Array(list) if list.is_empty() => row(text, &name, "nothing"),
            Value::String(word) => row(text, &name, word),
            other => row(text, &name, &other.to_string()),
        }
    }
}

fn row(text: &mut String, name: &str, value: &str) {
    let plain = |cell: &str| cell.replace('|', "\\|").replace(['\n', '\r'], " ");
    let _ = writeln!(text, "| {} | {} |", plain(name), plain(value));
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_figure_has_a_row() {
        let proof = json!({
            "proof": "crash",
            "struck": { "hub": 3 },
            "never_met": [],
            "wrong": ["a|b"],
        });
        let page = of(&[("kernel", "Linux")], &[proof]);
        for row in [
            "| kernel | Linux |",
            "## Kills under load",
            "| struck: hub | 3 |",
            "| never met | nothing |",
            "| wrong | [\"a\\|b\"] |",
        ] {
            assert!(page.contains(row), "{row} is not in {page}");
        }
    }
}
