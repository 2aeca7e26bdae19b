//! The starter of `process` functions.
//!
//! Beside what every process gets ([`environment`](super::environment)), a run gets the variables of its start and
//! `TRIPLINE_REQUEST_ID`, `TRIPLINE_FUNCTION`, and `TRIPLINE_DEADLINE_MS`: when it will be stopped, in milliseconds
//! since 1970 (UTC).

use std::ffi::OsString;

use async_trait::async_trait;

use super::environment::credential_variables;
use super::{Launcher, SpawnRequest, Spawned, Surroundings};
use crate::instance::{Exit, Instance, Job, StartError, Starter};
use crate::protocol::Credentials;

/// Starts a process for each run: the event on stdin, the result on stdout, log lines on stdout and stderr.
pub(crate) struct ProcessStarter {
    launcher: Launcher,
}

/// The process of one run.
struct ProcessRun(Spawned);

// === impl ProcessStarter ===

impl ProcessStarter {
    pub(crate) fn new(surroundings: Surroundings) -> Self {
        Self {
            launcher: Launcher::new(surroundings),
        }
    }
}

#[async_trait]
impl Starter for ProcessStarter {
    async fn start(&self, job: Job) -> Result<Box<dyn Instance>, StartError> {
        let start = job.start;
        let mut variables: Vec<(String, OsString)> = Vec::new();
        for (name, value) in start.variables {
            variables.push((name, value.into()));
        }
        for (name, value) in start.credentials.iter().flat_map(credential_variables) {
            variables.push((name.to_owned(), value.into()));
        }
        let name = job.id.to_string();
        for (variable, value) in [
            ("TRIPLINE_REQUEST_ID", name.clone()),
            ("TRIPLINE_FUNCTION", job.spec.name.clone()),
            ("TRIPLINE_DEADLINE_MS", start.deadline_ms.to_string()),
        ] {
            variables.push((variable.to_owned(), value.into()));
        }
        let request = SpawnRequest {
            spec: job.spec,
            name,
            variables,
            has_role: start.credentials.is_some(),
            credentials: start.credentials,
            stdin: Some(job.data),
            keep_stdout: usize::try_from(start.max_result_bytes).unwrap_or(usize::MAX),
        };
        let spawned = self.launcher.spawn(request).await?;
        spawned.tap().attach(job.output).await;
        Ok(Box::new(ProcessRun(spawned)))
    }
}

#[async_trait]
impl Instance for ProcessRun {
    fn request_stop(&self) {
        self.0.request_stop();
    }

    fn kill(&self) {
        self.0.kill();
    }

    fn renew(&self, credentials: &Credentials) -> std::io::Result<()> {
        self.0.renew(credentials)
    }

    async fn wait(&mut self) {
        self.0.wait().await;
    }

    async fn reclaim(&mut self) -> Exit {
        let over = self.0.reclaim().await;
        Exit {
            how: over.how,
            result: over.result,
            result_cut: over.result_cut,
            peak_memory: over.peak_memory,
            remains: over.remains,
        }
    }
}
