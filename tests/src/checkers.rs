//! Programs that check what the hub hands out, as `cargo xtask services` installs them.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::{Output, skipped};

/// Where the programs are.
pub struct Checkers {
    home: PathBuf,
}

// === impl Checkers ===

impl Checkers {
    /// Those of this run; `None` was reported as skipped.
    pub fn find(test: &str) -> Option<Self> {
        let home = std::env::var_os("TRIPLINE_TEST_CHECKERS").filter(|home| !home.is_empty());
        if home.is_none() {
            let why = "TRIPLINE_TEST_CHECKERS is not set (run `cargo xtask test`)";
            skipped(test, why);
        }
        let home = home?.into();
        Some(Self { home })
    }

    /// A Python module as a program.
    pub fn module(&self, name: &str) -> Command {
        let mut command = Command::new("python3");
        command.args(["-m", name]).env("PYTHONPATH", &self.home);
        command
    }

    /// What a YAML file says.
    pub fn yaml(&self, file: &Path) -> Value {
        let script =
            "import json, sys, yaml; json.dump(yaml.safe_load(open(sys.argv[1])), sys.stdout)";
        let mut command = Command::new("python3");
        command.args(["-c", script]).arg(file);
        let done = output(command.env("PYTHONPATH", &self.home));
        serde_json::from_str(&done.stdout).unwrap_or_else(|error| panic!("{error}: {done:?}"))
    }

    /// A program.
    pub fn program(&self, name: &str) -> Command {
        Command::new(self.home.join("bin").join(name))
    }
}

/// Runs a command to its end.
pub fn output(command: &mut Command) -> Output {
    let done = command.stdin(Stdio::null()).output();
    let done = done.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    Output {
        code: done.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}
