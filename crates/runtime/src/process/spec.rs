//! What to run for a function.

use std::fmt;
use std::path::PathBuf;

/// What to run for a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessSpec {
    /// The program and its arguments; not empty. A program with a slash is taken from `working_dir`, one without is
    /// looked up in the hub's search path.
    pub command: Vec<String>,
    /// The function's own variables.
    pub env: Vec<(String, EnvValue)>,
    /// Where it runs: the folder of the config file.
    pub working_dir: PathBuf,
}

/// The value of a variable. It may be a secret, so it never shows in logs.
#[derive(Clone, PartialEq, Eq)]
pub struct EnvValue(String);

// === impl EnvValue ===

impl EnvValue {
    /// The value as it is passed to the function.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for EnvValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("EnvValue(..)")
    }
}
