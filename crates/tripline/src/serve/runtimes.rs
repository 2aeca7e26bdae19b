//! Makes the runtimes: one executor for programs, one HTTP client for functions that are elsewhere.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use tripline_credentials::Roles;
use tripline_executor::client::{Executors, ExecutorsConfig};
use tripline_executor::protocol::FunctionSpec;
use tripline_executor::{check_user, level};
use tripline_model::{Clock, FunctionName};
use tripline_runtime::{CredentialProvider, ExecutorRuntime, HttpRuntime, Remote, Runtime};

use super::ServeError;
use super::functions::Functions;
use crate::release;

/// The runtimes, and the executors that two of them use.
pub(super) struct Runtimes {
    pub(super) executors: Executors,
    pub(super) all: Vec<Arc<dyn Runtime>>,
    /// Per function: limits this machine cannot enforce. Absent if all are.
    pub(super) unmet: HashMap<FunctionName, String>,
}

impl Runtimes {
    /// Starts the runtimes for `functions`. Joins the executors of this data directory, ends what dead executors left
    /// behind, and declares the functions to them. `traces` is the share of traces that is recorded; `None` for no traces.
    pub(super) async fn start(
        functions: Functions,
        data_dir: &Path,
        clock: &Arc<dyn Clock>,
        traces: Option<f64>,
    ) -> Result<Self, ServeError> {
        let release = release::release().map_err(|source| ServeError::Io {
            what: release::PROGRAM.to_owned(),
            source,
        })?;
        let roles = Roles::new(functions.roles, Arc::clone(clock))?;
        let roles: Arc<dyn CredentialProvider> = Arc::new(roles);
        let http = match functions.targets.is_empty() {
            // Its client needs the system's root certificates, which a small machine may not have.
            true => None,
            false => Some(HttpRuntime::new(functions.targets, Arc::clone(clock))?.traced(traces)),
        };
        let executors = Executors::start(ExecutorsConfig {
            data_dir: data_dir.to_owned(),
            program: release::program(),
            release,
            clock: Arc::clone(clock),
        })
        .await?;
        let unmet = unmet(&functions.programs);
        for (function, what) in &unmet {
            tracing::warn!(%function, "{what}");
        }
        for (function, why) in without_user(&functions.programs) {
            tracing::warn!(%function, "{why}: its runs will fail");
        }
        let client = executors.client();
        client.declare(functions.programs);
        tracing::info!(level = client.level(), "executor");
        let remote = || {
            let (clock, roles) = (Arc::clone(clock), Arc::clone(&roles));
            Remote::new(
                client.clone(),
                clock,
                Some(roles),
                functions.formats.clone(),
            )
            .traced(traces)
        };
        let (process, worker) = (
            ExecutorRuntime::process(remote()),
            ExecutorRuntime::worker(remote()),
        );
        let mut all: Vec<Arc<dyn Runtime>> = vec![Arc::new(process), Arc::new(worker)];
        all.extend(http.map(|http| Arc::new(http) as Arc<dyn Runtime>));
        Ok(Self {
            executors,
            all,
            unmet,
        })
    }
}

/// Functions whose user does not exist or may not be switched to, with the reason.
fn without_user(programs: &[FunctionSpec]) -> impl Iterator<Item = (&str, String)> {
    programs.iter().filter_map(|spec| {
        let why = check_user(spec.user.as_deref()?).err()?;
        Some((spec.name.as_str(), why))
    })
}

fn unmet(programs: &[FunctionSpec]) -> HashMap<FunctionName, String> {
    let level = level();
    let what = |spec: &FunctionSpec| {
        let unmet = level.check(spec).err()?;
        Some((FunctionName::new(&spec.name).ok()?, unmet))
    };
    programs.iter().filter_map(what).collect()
}
