//! What this machine can enforce on functions, and what each function of a configuration gets.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use tripline_executor::Level;
use tripline_executor::protocol::Isolation;

use crate::config::{Config, Runs};
use crate::serve::spec;

/// What a function gets.
pub(super) struct Verdict {
    function: String,
    /// What of its demands cannot be enforced.
    unmet: Option<String>,
    /// Whether it will not run because of that.
    refused: bool,
}

// === impl Verdict ===

impl Verdict {
    /// Whether it will not run here.
    pub(super) fn is_refused(&self) -> bool {
        self.refused
    }
}

pub(super) fn verdicts(config: &Config, level: &Level) -> Vec<Verdict> {
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

pub(super) fn to_json(level: &Level, verdicts: &[Verdict]) -> Value {
    let function = |verdict: &Verdict| {
        json!({
            "function": verdict.function, "enforced": verdict.unmet.is_none(),
            "unmet": verdict.unmet, "refused": verdict.refused,
        })
    };
    let functions: Vec<_> = verdicts.iter().map(function).collect();
    json!({ "isolation": level, "functions": functions })
}

pub(super) fn say(level: &Level, verdicts: &[Verdict], out: &mut impl Write) -> io::Result<()> {
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
