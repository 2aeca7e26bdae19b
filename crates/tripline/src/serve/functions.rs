//! Functions out of the configuration, with their secrets resolved.

use std::collections::HashMap;
use std::path::Path;

use tripline_config::{SecretError, Secrets, StringOrSecret};
use tripline_model::FunctionName;
use tripline_runtime::{EnvValue, ProcessSpec};

use crate::config::{Config, FunctionConfig};

/// What the process runtime runs; functions work in `folder`.
pub(super) fn process_specs(
    config: &Config,
    folder: &Path,
    secrets: &dyn Secrets,
) -> Result<HashMap<FunctionName, ProcessSpec>, SecretError> {
    let spec = |function: &FunctionConfig| {
        let env = resolve(&function.env, secrets)?;
        let (command, working_dir) = (function.command.clone(), folder.to_owned());
        Ok((
            function.function.name.clone(),
            ProcessSpec {
                command,
                env,
                working_dir,
            },
        ))
    };
    config.functions.iter().map(spec).collect()
}

fn resolve(
    env: &[(String, StringOrSecret)],
    secrets: &dyn Secrets,
) -> Result<Vec<(String, EnvValue)>, SecretError> {
    let value = |value: &StringOrSecret| match value {
        StringOrSecret::Text(text) => Ok(EnvValue::new(text)),
        StringOrSecret::Secret(reference) => {
            Ok(EnvValue::new(secrets.resolve(reference)?.expose()))
        }
    };
    env.iter()
        .map(|(name, text)| Ok((name.clone(), value(text)?)))
        .collect()
}
