//! `[functions.NAME]`.

use std::num::NonZeroU32;
use std::time::Duration;

use tripline_config::{
    ByteSize, Rate, Scalar, SecretRef, StringOrSecret, Table, check_name, format_duration,
};
use tripline_model::{Execution, Function, FunctionName};

/// `[functions.NAME]`: what the hub knows of the function, and what its runtime runs.
#[derive(Debug, Clone)]
pub struct FunctionConfig {
    /// Name, mode and limits.
    pub function: Function,
    /// Program and arguments. `command`.
    pub command: Vec<String>,
    /// The function's own environment. `env`.
    pub env: Vec<(String, StringOrSecret)>,
}

impl FunctionConfig {
    /// The secrets in its environment.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = SecretRef> {
        self.env.iter().filter_map(|(_, value)| match value {
            StringOrSecret::Secret(reference) => Some(reference.clone()),
            StringOrSecret::Text(_) => None,
        })
    }
}

/// Reads one function; `max_timeout` is the hub's.
pub(super) fn read(
    name: &str,
    table: &mut Table<'_>,
    max_timeout: Duration,
) -> Option<FunctionConfig> {
    if let Err(error) = check_name(name) {
        table.error("", error.message, Some(error.help));
    }
    let runtime = table.one_of("runtime", &[("process", "process")], Some("process"));
    let command = table.required::<Vec<String>>("command");
    let env = table
        .section("env", |env| Some(read_env(env)))
        .unwrap_or_default();
    let modes = [("async", Execution::Async), ("sync", Execution::Sync)];
    let execution = table.one_of("execution", &modes, Some(Execution::Async));
    let timeout = table.or("timeout", Duration::from_secs(60));
    let grace = table.or("grace", Duration::from_secs(5));
    let concurrency = table.or("concurrency", NonZeroU32::new(4).expect("not zero"));
    let qps = table.optional::<Rate>("qps").map(|rate| rate.0);
    let max_queued = table.or("max_queued", 100_000);
    let max_event_age = table.or("max_event_age", Duration::from_secs(6 * 3600));
    let max_result = table.or("max_result", ByteSize(1 << 20));
    let max_log = table.or("max_log", ByteSize(64 << 20));
    refuse_timeout(table, timeout, max_timeout);
    if command
        .as_ref()
        .is_some_and(|words| words.first().is_none_or(String::is_empty))
    {
        let help = "name the program first: command = [\"python3\", \"thumbnail.py\"]".to_owned();
        table.error("command", "there is no program in it", Some(help));
    }
    table.finish();
    let function = Function {
        name: FunctionName::new(name).ok()?,
        execution: execution?,
        runtime: runtime?,
        timeout,
        grace,
        concurrency,
        qps,
        max_queued,
        max_event_age,
        max_result_bytes: usize::try_from(max_result.0).unwrap_or(usize::MAX),
        max_log_bytes: max_log.0,
    };
    Some(FunctionConfig {
        function,
        command: command?,
        env,
    })
}

fn refuse_timeout(table: &mut Table<'_>, timeout: Duration, max: Duration) {
    if timeout.is_zero() {
        table.error("timeout", "a function needs some time", None);
    }
    if timeout > max {
        let message = format!(
            "{} is longer than {}, the longest run this hub allows",
            format_duration(timeout),
            format_duration(max)
        );
        let help = "raise `max_timeout` in [hub] if it really has to be longer".to_owned();
        table.error("timeout", message, Some(help));
    }
}

fn read_env(env: &mut Table<'_>) -> Vec<(String, StringOrSecret)> {
    let mut variables = Vec::new();
    for (
        name,
        Scalar {
            text,
            secret,
            location,
        },
    ) in env.rest()
    {
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let good = name.chars().all(letters) && !name.starts_with(|c: char| c.is_ascii_digit());
        if !good {
            let help = "letters, digits and `_`, not beginning with a digit".to_owned();
            env.error_at(&location, "this is not a name for a variable", Some(help));
        } else if name.starts_with("CE_") || name.starts_with("TRIPLINE_") {
            let message = "names that begin with `CE_` or `TRIPLINE_` are set by the hub";
            env.error_at(&location, message, None);
        }
        let value = secret.map_or(StringOrSecret::Text(text), StringOrSecret::Secret);
        variables.push((name, value));
    }
    env.finish();
    variables
}
