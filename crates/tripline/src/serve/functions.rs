//! The functions of the configuration, in the form that their runtimes need.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use tripline_config::{SecretError, Secrets, StringOrSecret};
use tripline_credentials::RoleSettings;
use tripline_executor::protocol::{FunctionSpec, Kind, Value};
use tripline_model::FunctionName;
use tripline_runtime::{EventFormat, HttpTarget};

use crate::config::{Config, FunctionConfig, HttpConfig, ProgramConfig, RoleConfig, Runs};

/// The functions of each runtime, with secrets resolved.
#[derive(Default)]
pub(super) struct Functions {
    /// Programs, for the executor.
    pub(super) programs: Vec<FunctionSpec>,
    /// The event formats of the programs.
    pub(super) formats: HashMap<FunctionName, EventFormat>,
    /// The targets of `http` functions.
    pub(super) targets: HashMap<FunctionName, HttpTarget>,
    /// The functions that get temporary credentials.
    pub(super) roles: Vec<(FunctionName, RoleSettings)>,
}

// === impl Functions ===

impl Functions {
    /// Those of a configuration; programs work in `folder`.
    pub(super) fn resolve(
        config: &Config,
        folder: &Path,
        secrets: &dyn Secrets,
    ) -> Result<Self, SecretError> {
        let mut functions = Self::default();
        for one in &config.functions {
            let name = one.function.name.clone();
            match &one.runs {
                Runs::Program(program) => {
                    let env = resolve(&program.env, secrets)?;
                    let env = env
                        .into_iter()
                        .map(|(name, value)| (name, Value::new(value)));
                    functions
                        .programs
                        .push(spec(one, program, folder, env.collect()));
                    functions.formats.insert(name.clone(), program.event_format);
                }
                Runs::Http(http) => {
                    functions
                        .targets
                        .insert(name.clone(), target(http, secrets)?);
                }
            }
            if let Some(role) = &one.role {
                functions.roles.push((name, role_settings(role, secrets)?));
            }
        }
        Ok(functions)
    }
}

/// A program in the form that the executor needs.
pub(crate) fn spec(
    function: &FunctionConfig,
    program: &ProgramConfig,
    folder: &Path,
    env: BTreeMap<String, Value>,
) -> FunctionSpec {
    FunctionSpec {
        name: function.function.name.to_string(),
        kind: program.worker.clone().map_or(Kind::Process, Kind::Worker),
        command: program.command.clone(),
        env,
        working_dir: folder.to_owned(),
        search_path: std::env::var("PATH").unwrap_or_default(),
        user: program.user.clone(),
        limits: program.limits.clone(),
        isolation: program.isolation,
    }
}

fn target(http: &HttpConfig, secrets: &dyn Secrets) -> Result<HttpTarget, SecretError> {
    let headers = resolve(&http.headers, secrets)?;
    Ok(HttpTarget {
        url: http.url.clone(),
        allow_private: http.allow_private,
        headers: headers
            .into_iter()
            .map(|(name, value)| (name, Value::new(value)))
            .collect(),
    })
}

/// The settings with which a function's role is requested.
pub(crate) fn role_settings(
    role: &RoleConfig,
    secrets: &dyn Secrets,
) -> Result<RoleSettings, SecretError> {
    Ok(RoleSettings {
        endpoint: role.sts.to_string(),
        region: role.region.clone(),
        access_key: secrets.resolve(&role.access_key)?,
        secret_key: secrets.resolve(&role.secret_key)?,
        arn: role.arn.clone(),
        policy: role.policy.clone(),
        duration: role.duration,
    })
}

/// Names with values, secrets among them resolved.
pub(super) fn resolve(
    named: &[(String, StringOrSecret)],
    secrets: &dyn Secrets,
) -> Result<Vec<(String, String)>, SecretError> {
    let value = |value: &StringOrSecret| match value {
        StringOrSecret::Text(text) => Ok(text.clone()),
        StringOrSecret::Secret(reference) => Ok(secrets.resolve(reference)?.expose().to_owned()),
    };
    named
        .iter()
        .map(|(name, text)| Ok((name.clone(), value(text)?)))
        .collect()
}
