//! `tripline check`: a configuration, without network or disk beyond the file itself.

use std::io::{ErrorKind, Read, Write};
use std::path::Path;

use serde_json::json;
use tripline_config::MAX_DOCUMENT_BYTES;

use crate::cli::escape::one_line;
use crate::cli::{CONFIG_HERE, Exit};
use crate::config::Config;
use crate::kinds::kinds;

/// What to do where no configuration is.
const NAME_IT: &str = "name the configuration: FILE as the argument, or TRIPLINE_CONFIG";

/// Reads a configuration file and its errors, for `check` and `serve` alike.
pub(crate) fn load(file: &Path) -> Result<Config, Failure> {
    let shown = file.display().to_string();
    let unreadable = |why: String| Failure::Unreadable {
        message: format!("{}: {why}", one_line(&shown)),
        help: None,
    };
    let mut bytes = Vec::new();
    // One byte more than a document may have: the reader itself says that it is too long.
    let limit = MAX_DOCUMENT_BYTES as u64 + 1;
    std::fs::File::open(file)
        .and_then(|open| open.take(limit).read_to_end(&mut bytes))
        .map_err(|error| match error.kind() {
            // It may be that nobody named it.
            ErrorKind::NotFound if file == Path::new(CONFIG_HERE) => Failure::Unreadable {
                message: format!("there is no {CONFIG_HERE} here"),
                help: Some(NAME_IT),
            },
            _ => unreadable(error.to_string()),
        })?;
    let is_cut = bytes.len() > MAX_DOCUMENT_BYTES;
    let text = match String::from_utf8(bytes) {
        Ok(text) => text,
        // The cut may go through a character.
        Err(error) if is_cut => String::from_utf8_lossy(error.as_bytes()).into_owned(),
        Err(error) => {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = 1 + good.iter().filter(|byte| **byte == b'\n').count();
            let why = format!("line {line} is not UTF-8: save the file in that encoding");
            return Err(unreadable(why));
        }
    };
    Config::read(file, &text, &kinds()).map_err(Failure::Wrong)
}

/// Why there is no configuration.
pub(crate) enum Failure {
    /// The file cannot be read as text.
    Unreadable {
        message: String,
        help: Option<&'static str>,
    },
    /// What is wrong in it.
    Wrong(tripline_config::ConfigErrors),
}

// === impl Failure ===

impl Failure {
    /// Prints it: on `out` as JSON, one object an error, else on `errors`.
    pub(crate) fn print(
        &self,
        as_json: bool,
        out: &mut impl Write,
        errors: &mut impl Write,
    ) -> Exit {
        let written = match self {
            Self::Unreadable { message, help } if as_json => {
                writeln!(out, "{}", json!({ "message": message, "help": help }))
            }
            Self::Unreadable { message, help } => {
                let help = help.map_or(String::new(), |help| format!("\n  = help: {help}"));
                writeln!(errors, "error: {message}{help}")
            }
            Self::Wrong(found) if as_json => found.iter().try_for_each(|error| {
                let line = json!({
                    "file": error.file, "line": error.line, "column": error.column,
                    "path": error.path, "message": error.message, "help": error.help,
                });
                writeln!(out, "{line}")
            }),
            Self::Wrong(found) => write!(errors, "{found}"),
        };
        Exit::Usage.after_output(written)
    }
}

/// Checks the file and prints what was found.
pub(crate) fn check(
    file: &Path,
    as_json: bool,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> Exit {
    let config = match load(file) {
        Ok(config) => config,
        Err(failure) => return failure.print(as_json, out, errors),
    };
    if as_json {
        return Exit::Done;
    }
    let functions = count(config.functions.len(), "function");
    let triggers = count(config.triggers.len(), "trigger");
    let written = writeln!(out, "{} is good: {functions}, {triggers}", file.display());
    Exit::Done.after_output(written)
}

fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_configuration_the_help_names_the_ways() {
        let printed = |file: &str, as_json: bool| {
            let (mut out, mut errors) = (Vec::new(), Vec::new());
            let exit = check(Path::new(file), as_json, &mut out, &mut errors);
            assert_eq!(exit, Exit::Usage);
            String::from_utf8([out, errors].concat()).unwrap()
        };
        // There is none where tests run.
        // Whatever the command is: it is asked for by more than one.
        let none = "error: there is no tripline.toml here\n  = help: name the configuration: FILE as the argument, or TRIPLINE_CONFIG\n";
        assert_eq!(printed("tripline.toml", false), none);
        assert!(printed("tripline.toml", true).contains(NAME_IT));
        assert!(!printed("nowhere/tripline.toml", false).contains("help"));
    }
}
