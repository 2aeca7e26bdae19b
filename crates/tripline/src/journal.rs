//! `tripline journal check`: whether a data directory is whole, and what is lost if it is not.

use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};
use tripline_journal::{Inspection, OpenError, inspect};

use crate::cli::Exit;

/// Looks at the directory and says what was found. Fails where something is lost, and for a copy.
pub(crate) fn check(
    dir: &Path,
    as_json: bool,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> Exit {
    let found = match inspect(dir) {
        Ok(found) => found,
        Err(error) => {
            let help = error.help();
            let written = match as_json {
                true => {
                    let error = json!({ "message": error.to_string(), "help": help });
                    writeln!(out, "{error}")
                }
                false => writeln!(errors, "error: {}", with_help(&error)),
            };
            return Exit::Usage.after_output(written);
        }
    };
    let written = match as_json {
        true => writeln!(out, "{}", object(dir, &found)),
        false => print(dir, &found, out),
    };
    let exit = match found.is_damaged() || found.is_copy {
        true => Exit::Failed,
        false => Exit::Done,
    };
    exit.after_output(written)
}

/// Why a data directory cannot be opened, and what to do.
pub(crate) fn with_help(error: &OpenError) -> String {
    match error.help() {
        Some(help) => format!("{error}\n  = help: {help}"),
        None => error.to_string(),
    }
}

/// Whether it is whole, and if not, what it is.
fn verdict(found: &Inspection) -> &'static str {
    match (found.is_damaged(), found.findings.is_empty()) {
        (true, _) => "damaged",
        _ if found.is_copy => "copied",
        (false, false) => "recoverable",
        (false, true) => "whole",
    }
}

fn object(dir: &Path, found: &Inspection) -> Value {
    let findings = found.findings.iter().map(|one| {
        json!({
            "damage": one.is_damage, "file": one.file, "what": one.what, "lost": one.lost, "mend": one.mend,
        })
    });
    let states: serde_json::Map<String, Value> = found
        .states
        .iter()
        .map(|(state, count)| ((*state).to_owned(), (*count).into()))
        .collect();
    json!({
        "data_dir": dir, "verdict": verdict(found), "invocations": states,
        "findings": findings.collect::<Vec<_>>(),
    })
}

fn print(dir: &Path, found: &Inspection, out: &mut impl Write) -> io::Result<()> {
    writeln!(out, "{} is {}", dir.display(), verdict(found))?;
    for (state, count) in &found.states {
        writeln!(out, "  {count:>10}  {state}")?;
    }
    for one in &found.findings {
        writeln!(out, "\n{}: {}", one.file.display(), one.what)?;
        writeln!(out, "  lost  {}", one.lost)?;
        writeln!(out, "  mend  {}", one.mend)?;
    }
    Ok(())
}
