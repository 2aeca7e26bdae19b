//! The runtime `process`: a new process for each invocation. What it gets and leaves is told in [`environment`],
//! how it is ended in [`tree`].

mod environment;
mod instance;
mod program;
mod pump;
mod scratch;
mod spec;
mod sweep;
#[cfg(test)]
mod tests;
mod tree;

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::process::Command;
use tripline_model::{FunctionName, LogStream};

use self::environment::Environment;
use self::instance::ProcessInstance;
use self::scratch::Scratch;
use crate::{Instance, Runtime, Start, StartError};

pub use self::spec::{EnvValue, ProcessSpec};
pub use self::sweep::sweep_leftovers;

/// Starts a process for each invocation: the event's data on stdin, its attributes in the environment, the result on
/// stdout, log lines on stdout and stderr.
#[derive(Debug)]
pub struct ProcessRuntime {
    specs: HashMap<FunctionName, ProcessSpec>,
    scratch_root: PathBuf,
    hub_id: String,
    search_path: OsString,
}

// === impl ProcessRuntime ===

impl ProcessRuntime {
    /// The word for it in the config.
    pub const KIND: &'static str = "process";

    /// A runtime for `specs`. Scratch directories are made in `scratch_root`; `hub_id` marks every process as this
    /// hub's (see [`sweep_leftovers`]); programs without a slash are looked up in `search_path`, which has the form
    /// of `PATH`.
    pub fn new(
        specs: HashMap<FunctionName, ProcessSpec>,
        scratch_root: PathBuf,
        hub_id: String,
        search_path: OsString,
    ) -> Self {
        Self {
            specs,
            scratch_root,
            hub_id,
            search_path,
        }
    }

    /// Everything but the spawn itself: nothing of the function runs in here.
    fn prepare(
        &self,
        start: &Start,
        scratch: &Scratch,
    ) -> Result<(Command, Vec<Bytes>), StartError> {
        let name = &start.function.name;
        let spec = self
            .specs
            .get(name)
            .ok_or_else(|| StartError::UnknownFunction {
                runtime: Self::KIND,
                function: name.to_string(),
            })?;
        let environment = Environment::of(start, spec, scratch.path(), &self.hub_id)?;
        let (program, arguments) = program::resolve(spec, &self.search_path)?;
        let mut command = Command::new(program);
        // No uid, gid or pre_exec here: they push the standard library from posix_spawn to fork, which copies the
        // page tables of a large hub (27 times slower with 500 MB).
        command
            .args(arguments)
            .current_dir(&spec.working_dir)
            .env_clear()
            .envs(environment.variables)
            .process_group(0)
            .stdin(match start.invocation.event.data_len() {
                0 => Stdio::null(),
                _ => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Ok((command, environment.remarks))
    }
}

#[async_trait]
impl Runtime for ProcessRuntime {
    fn kind(&self) -> &'static str {
        Self::KIND
    }

    async fn start(&self, start: Start) -> Result<Box<dyn Instance>, StartError> {
        let scratch = Scratch::make(&self.scratch_root, start.invocation.request_id)?;
        let spawned = self
            .prepare(&start, &scratch)
            .and_then(|(mut command, remarks)| {
                let child = command.spawn().map_err(StartError::Spawn)?;
                Ok((child, remarks))
            });
        match spawned {
            Ok((child, remarks)) => {
                let output = start.output.clone();
                let instance = ProcessInstance::new(child, start, scratch);
                if !remarks.is_empty() {
                    output.lines(LogStream::System, remarks).await;
                }
                Ok(Box::new(instance))
            }
            Err(error) => {
                scratch.remove().await;
                Err(error)
            }
        }
    }
}
