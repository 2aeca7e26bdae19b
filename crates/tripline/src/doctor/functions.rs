//! What this machine can enforce on functions, and what each function of a configuration gets.

use std::collections::BTreeMap;
use std::io::{self, Write};

use serde_json::{Value, json};
use tripline_executor::protocol::Isolation;
use tripline_executor::{Level, check_user};

use crate::config::{Config, Runs};
use crate::serve::spec;

/// What a function gets.
pub(super) struct Verdict {
    function: String,
    /// What of its demands cannot be enforced.
    unmet: Option<String>,
    /// Whether it will not run because of that.
    refused: bool,
    /// Why it will not run, if that is because of its `user`.
    no_user: Option<String>,
}

// === impl Verdict ===

impl Verdict {
    /// Whether it will not run here.
    pub(super) fn is_refused(&self) -> bool {
        self.refused || self.no_user.is_some()
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
            no_user: spec.user.as_deref().and_then(|user| check_user(user).err()),
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
            "function": verdict.function, "enforced": verdict.unmet.is_none() && verdict.no_user.is_none(),
            "not_enforced": verdict.no_user.as_ref().or(verdict.unmet.as_ref()), "refused": verdict.is_refused(),
        })
    };
    let functions: Vec<_> = verdicts.iter().map(function).collect();
    json!({ "isolation": level, "functions": functions })
}

pub(super) fn print(level: &Level, verdicts: &[Verdict], out: &mut impl Write) -> io::Result<()> {
    for (index, line) in level.lines().iter().enumerate() {
        let name = if index == 0 { "isolation" } else { "" };
        writeln!(out, "{name:<10} {line}")?;
    }
    for verdict in verdicts {
        let what = match (&verdict.no_user, &verdict.unmet) {
            (Some(why), _) => format!("WILL NOT RUN: {why}"),
            (None, None) => "everything it asks for is enforced".to_owned(),
            (None, Some(unmet)) if verdict.refused => {
                format!("WILL NOT RUN, isolation is required: {unmet}")
            }
            (None, Some(unmet)) => format!("runs, but {unmet}"),
        };
        writeln!(out, "{:<10} {what}", verdict.function)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use tripline_executor::level;

    use super::*;
    use crate::kinds::kinds;

    #[test]
    fn a_function_whose_user_is_not_there_does_not_run() {
        let text = "[functions.f]\ncommand = ['true']\nuser = 'no-such-user'\n";
        let config = Config::read(Path::new("tripline.toml"), text, &kinds())
            .unwrap_or_else(|errors| panic!("{errors}"));
        let level = level();
        let found = verdicts(&config, &level);
        assert!(found[0].is_refused());
        let mut printed = Vec::new();
        print(&level, &found, &mut printed).unwrap();
        let printed = String::from_utf8(printed).unwrap();
        let line = "\nf          WILL NOT RUN: there is no user `no-such-user`\n";
        assert!(printed.ends_with(line), "{printed}");
        let json = &to_json(&level, &found)["functions"][0];
        assert_eq!(json["not_enforced"], "there is no user `no-such-user`");
        assert_eq!(
            (&json["enforced"], &json["refused"]),
            (&false.into(), &true.into())
        );
    }
}
