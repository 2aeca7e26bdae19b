//! `[functions.NAME]`.

use std::num::NonZeroU32;
use std::time::Duration;

use tripline_config::{
    ByteSize, Rate, SecretRef, StringOrSecret, Table, check_name, format_duration,
};
use tripline_model::{Execution, Function, FunctionName};

use super::http_function::{self, HttpConfig};
use super::program::{self, ProgramConfig};
use super::role::{self, RoleConfig};

/// `[functions.NAME]`: what the hub knows of the function, and what its runtime runs.
#[derive(Debug, Clone)]
pub struct FunctionConfig {
    /// Name, mode and limits.
    pub function: Function,
    /// What its runtime runs.
    pub runs: Runs,
    /// Temporary credentials for it. `role`.
    pub role: Option<RoleConfig>,
}

/// What a function's runtime runs.
#[derive(Debug, Clone)]
pub enum Runs {
    /// `runtime = "process"` or `"worker"`: a program on this machine.
    Program(ProgramConfig),
    /// `runtime = "http"`: a POST to somewhere.
    Http(HttpConfig),
}

/// The words for runtimes.
const RUNTIMES: [(&str, &str); 3] = [
    ("process", "process"),
    ("worker", "worker"),
    ("http", "http"),
];

impl FunctionConfig {
    /// The secrets it refers to.
    pub(crate) fn secrets(&self) -> impl Iterator<Item = SecretRef> {
        let named = match &self.runs {
            Runs::Program(program) => &program.env,
            Runs::Http(http) => &http.headers,
        };
        let named = named.iter().filter_map(|(_, value)| match value {
            StringOrSecret::Secret(reference) => Some(reference.clone()),
            StringOrSecret::Text(_) => None,
        });
        let role = self.role.iter();
        named.chain(role.flat_map(|role| [role.access_key.clone(), role.secret_key.clone()]))
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
    let runtime = table.one_of("runtime", &RUNTIMES, Some("process"));
    let modes = [("async", Execution::Async), ("sync", Execution::Sync)];
    let execution = table.one_of("execution", &modes, Some(Execution::Async));
    let timeout = table.or("timeout", Duration::from_secs(60));
    let grace = table.or("grace", Duration::from_secs(5));
    let concurrency = table.or("concurrency", NonZeroU32::new(4).expect("not zero"));
    let qps = table.optional::<Rate>("qps").map(|rate| rate.0);
    let max_queued = table.or("max_queued", 100_000);
    let max_event_age = table.or("max_event_age", Duration::from_secs(6 * 3600));
    let max_result = table.or("max_result", ByteSize(1 << 20));
    let output = table.or("output", ByteSize(64 << 20));
    refuse_timeout(table, timeout, max_timeout);
    refuse_result(table, max_result);
    refuse_nothing(table, max_queued, max_event_age);
    let runs = match runtime {
        Some("http") => http_function::read(table).map(Runs::Http),
        _ => program::read(table, runtime == Some("worker"), concurrency).map(Runs::Program),
    };
    let role = match runtime {
        Some("http") => None,
        _ => table.section("role", role::read),
    };
    refuse_misplaced(table, runtime);
    table.finish();
    let runs = runs.map(|runs| with_role(runs, role.is_some()));
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
        max_log_bytes: output.0,
    };
    Some(FunctionConfig {
        function,
        runs: runs?,
        role,
    })
}

/// Keys that functions of other runtimes have.
fn refuse_misplaced(table: &mut Table<'_>, runtime: Option<&str>) {
    let Some(runtime) = runtime else { return };
    for (keys, runtimes) in [
        (program::KEYS.as_slice(), ["process", "worker"].as_slice()),
        (program::WORKER_KEYS.as_slice(), &["worker"]),
        (http_function::KEYS.as_slice(), &["http"]),
    ] {
        if runtimes.contains(&runtime) {
            continue;
        }
        let quoted = runtimes.iter().map(|one| format!("\"{one}\""));
        let quoted: Vec<String> = quoted.collect();
        for key in keys {
            let message = format!("`{key}` means nothing for runtime = \"{runtime}\"");
            let help = format!("only for `runtime = {}`", quoted.join("` or `"));
            table.refuse(key, message, Some(help));
        }
    }
}

/// An instance that is started ahead of its first event has to know that credentials will come.
fn with_role(mut runs: Runs, role: bool) -> Runs {
    if let Runs::Program(ProgramConfig {
        worker: Some(worker),
        ..
    }) = &mut runs
    {
        worker.role = role;
    }
    runs
}

/// The largest result a function may be allowed: it is kept in the journal, and passes between two processes at once.
const MAX_RESULT: ByteSize = ByteSize(64 << 20);

fn refuse_result(table: &mut Table<'_>, max_result: ByteSize) {
    if max_result.0 > MAX_RESULT.0 {
        let help = "let the function store large results and answer with where they are".to_owned();
        let message = "a result is at most 64 MiB".to_owned();
        table.error("max_result", message, Some(help));
    }
}

fn refuse_nothing(table: &mut Table<'_>, max_queued: u64, max_event_age: Duration) {
    if max_queued == 0 {
        table.error(
            "max_queued",
            "no event could be accepted: write 1 or more",
            None,
        );
    }
    if max_event_age.is_zero() {
        table.error(
            "max_event_age",
            "every event would be too old to be started",
            None,
        );
    }
}

fn refuse_timeout(table: &mut Table<'_>, timeout: Duration, max: Duration) {
    if timeout.is_zero() {
        table.error("timeout", "a function needs some time", None);
    }
    if timeout > max {
        let written: Option<String> = table.optional("timeout");
        let message = format!(
            "{} is longer than {}, the longest run this hub allows",
            written.unwrap_or_else(|| format_duration(timeout)),
            format_duration(max)
        );
        let help = "raise `max_timeout` in [hub] if it really has to be longer".to_owned();
        table.error("timeout", message, Some(help));
    }
}
