//! A function as the executor sees it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How a function is run, and within what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FunctionSpec {
    /// Its name.
    pub name: String,
    /// A process per run, or warm instances.
    pub kind: Kind,
    /// The program and its arguments; not empty. A program with a slash is taken from `working_dir`, one without is
    /// looked up in `search_path`.
    pub command: Vec<String>,
    /// The function's own variables.
    pub env: BTreeMap<String, Value>,
    /// Where it runs.
    pub working_dir: PathBuf,
    /// Directories of programs, in the form of `PATH`.
    pub search_path: String,
    /// Whose rights it runs with, by name, if not with the executor's.
    pub user: Option<String>,
    /// Its bounds.
    pub limits: Limits,
    /// What happens when the machine cannot enforce them.
    pub isolation: Isolation,
}

/// A process per run, or warm instances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A new process for each run: the event on stdin, the result on stdout.
    Process,
    /// Instances that ask for one event after the other at a Runtime API.
    Worker(WorkerSpec),
}

/// How many instances there are, and how long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerSpec {
    /// Kept warm without work.
    pub min_instances: u32,
    /// At most at the same time.
    pub max_instances: u32,
    /// An instance above the minimum without work for so long is ended.
    pub idle_timeout_ms: u64,
    /// An instance that has not asked for its first event after so long is ended, and the run that waits for it failed.
    pub init_timeout_ms: u64,
    /// `_HANDLER`, such as `app.handler`, where the client needs one.
    pub handler: Option<String>,
    /// Whether its runs come with credentials of a role: an instance may start before the first of them.
    #[serde(default)]
    pub role: bool,
}

/// Bounds on what one instance may use; `None` is unbounded.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// Bytes of memory, swap included, of the whole tree.
    pub memory_bytes: Option<u64>,
    /// Thousandths of one processor.
    pub cpu_millis: Option<u64>,
    /// Processes and threads at the same time.
    pub pids: Option<u64>,
    /// Bytes in the scratch directory.
    pub scratch_bytes: Option<u64>,
    /// Open files of one process.
    pub open_files: Option<u64>,
    /// Bytes of the largest file it may write.
    pub file_bytes: Option<u64>,
}

/// What happens when the machine cannot enforce a function's limits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// It runs within what the machine can enforce.
    #[default]
    BestEffort,
    /// It does not run.
    Required,
    /// It runs with all rights of its user: no restriction of files and signals. Limits are still set.
    None,
}

/// The value of a variable. It may be a secret, so it never shows in logs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Value(String);

/// Temporary credentials for a function's role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credentials {
    /// The key's name.
    pub access_key: String,
    /// Its secret.
    pub secret_key: Value,
    /// What shows that the two are temporary.
    pub session_token: Value,
    /// When they end, milliseconds since 1970 (UTC).
    pub expires_ms: i64,
}

// === impl Value ===

impl Value {
    /// The value as it is passed to the function.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The text itself, for the function alone.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}
