//! `tripline doctor`: what this machine can enforce on functions, and what each function of a configuration gets.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Value, json};
use tripline_executor::protocol::Isolation;
use tripline_executor::{Level, level};

use crate::check::{Failure, load};
use crate::cli::Exit;
use crate::config::{Config, Runs};
use crate::serve::spec;

/// What a function gets.
struct Verdict {
    function: String,
    /// What of its demands cannot be enforced.
    unmet: Option<String>,
    /// Whether it will not run because of that.
    refused: bool,
}

/// Looks, and says it. Fails where a function that requires isolation would not run.
pub(crate) fn doctor(
    file: Option<&Path>,
    as_json: bool,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> Exit {
    let config = match file.map(load).transpose() {
        Ok(config) => config,
        Err(failure) => {
            let said = match failure {
                Failure::Unreadable(message) => writeln!(errors, "error: {message}"),
                Failure::Wrong(found) => write!(errors, "{found}"),
            };
            return said.map_or(Exit::Failed, |()| Exit::Usage);
        }
    };
    let level = level();
    let verdicts = config.map_or_else(Vec::new, |config| verdicts(&config, &level));
    let said = if as_json {
        writeln!(out, "{}", to_json(&level, &verdicts))
    } else {
        say(&level, &verdicts, out)
    };
    match said {
        Ok(()) if verdicts.iter().any(|verdict| verdict.refused) => Exit::Failed,
        Ok(()) => Exit::Done,
        Err(_nobody_listens) => Exit::Failed,
    }
}

fn verdicts(config: &Config, level: &Level) -> Vec<Verdict> {
    let programs = config
        .functions
        .iter()
        .filter_map(|function| match &function.runs {
            Runs::Program(program) => Some((function, program)),
            Runs::Http(_) => None,
        });
    let verdict = |(function, program)| {
        let spec = spec(function, program, &config.folder, BTreeMap::new());
        let unmet = level.check(&spec).err();
        Verdict {
            function: spec.name,
            refused: unmet.is_some() && spec.isolation == Isolation::Required,
            unmet,
        }
    };
    programs.map(verdict).collect()
}

fn to_json(level: &Level, verdicts: &[Verdict]) -> Value {
    let function = |verdict: &Verdict| {
        json!({
            "function": verdict.function, "enforced": verdict.unmet.is_none(),
            "unmet": verdict.unmet, "refused": verdict.refused,
        })
    };
    let functions: Vec<_> = verdicts.iter().map(function).collect();
    json!({ "isolation": level, "functions": functions })
}

fn say(level: &Level, verdicts: &[Verdict], out: &mut impl Write) -> io::Result<()> {
    for (index, line) in level.lines().iter().enumerate() {
        let name = if index == 0 { "isolation" } else { "" };
        writeln!(out, "{name:<10} {line}")?;
    }
    for verdict in verdicts {
        let what = match (&verdict.unmet, verdict.refused) {
            (None, _) => "everything it asks for is enforced".to_owned(),
            (Some(unmet), true) => format!("WILL NOT RUN, isolation is required: {unmet}"),
            (Some(unmet), false) => format!("runs, but {unmet}"),
        };
        writeln!(out, "{:<10} {what}", verdict.function)?;
    }
    Ok(())
}
