//! What is wrong with a file, for people (the full report) and for programs (the fields).

use std::fmt;

use crate::excerpt::{Excerpt, visible};

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}:{line}:{column}: {message}", visible(file))]
pub struct ConfigError {
    /// The file's name, as it was given.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The dotted path of the key: `triggers.orders.topics`. Empty if it is not about a key.
    pub path: String,
    /// What is wrong, in one line of plain text.
    pub message: String,
    /// What is allowed, and the nearest known name.
    pub help: Option<String>,
    excerpt: Option<Excerpt>,
}

/// Everything that is wrong with one file, sorted by place. `Display` is the full report for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    file: String,
    errors: Vec<ConfigError>,
    /// How many more there are than `errors` holds.
    left_out: usize,
    /// The file is not TOML, so that some checks could not be made.
    broken: bool,
}

// === impl ConfigError ===

impl ConfigError {
    pub(crate) fn new(file: &str, position: (usize, usize), path: String, message: String) -> Self {
        let (line, column) = position;
        let (path, message) = (visible(&path), visible(&message));
        Self {
            file: file.to_owned(),
            line,
            column,
            path,
            message,
            help: None,
            excerpt: None,
        }
    }

    pub(crate) fn with_help(self, help: Option<String>) -> Self {
        Self {
            help: help.map(|help| visible(&help)),
            ..self
        }
    }

    pub(crate) fn with_excerpt(self, excerpt: Excerpt) -> Self {
        Self {
            excerpt: Some(excerpt),
            ..self
        }
    }

    fn write_report(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let margin = " ".repeat(number.len());
        writeln!(f, "error: {}", self.message)?;
        writeln!(
            f,
            "{margin}--> {}:{}:{}",
            visible(&self.file),
            self.line,
            self.column
        )?;
        if let Some(excerpt) = &self.excerpt {
            writeln!(f, "{margin} |")?;
            writeln!(f, "{}", format!("{number} | {}", excerpt.line()).trim_end())?;
            writeln!(f, "{margin} | {}", excerpt.marker())?;
        }
        match &self.help {
            Some(help) => writeln!(f, "{margin} = help: {help}"),
            None => Ok(()),
        }
    }
}

// === impl ConfigErrors ===

impl ConfigErrors {
    pub(crate) fn new(file: String, errors: Vec<ConfigError>) -> Self {
        Self {
            file,
            errors,
            left_out: 0,
            broken: false,
        }
    }

    pub(crate) fn left_out(self, left_out: usize) -> Self {
        Self { left_out, ..self }
    }

    pub(crate) fn broken(self, broken: bool) -> Self {
        Self { broken, ..self }
    }

    /// The errors, sorted by place; at most the first hundred.
    pub fn iter(&self) -> impl Iterator<Item = &ConfigError> {
        self.errors.iter()
    }

    /// How many errors [`ConfigErrors::iter`] gives; at least one.
    pub fn len(&self) -> usize {
        self.errors.len()
    }

    /// Never true for errors that [`crate::Document::read`] returned.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty()
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for error in &self.errors {
            error.write_report(f)?;
            writeln!(f)?;
        }
        let total = self.errors.len() + self.left_out;
        let noun = if total == 1 { "error" } else { "errors" };
        write!(f, "{total} {noun} in {}", visible(&self.file))?;
        if self.left_out > 0 {
            write!(f, ", the first {} shown", self.errors.len())?;
        }
        if self.broken {
            write!(
                f,
                "; what needs the whole file is checked once its syntax is right"
            )?;
        }
        writeln!(f)
    }
}

impl std::error::Error for ConfigErrors {}
