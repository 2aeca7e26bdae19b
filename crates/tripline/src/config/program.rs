//! Functions that are a program on this machine: `runtime = "process"` and `runtime = "worker"`.

use std::num::NonZeroU32;
use std::time::Duration;

use tripline_config::{ByteSize, Scalar, StringOrSecret, Table};
use tripline_executor::protocol::{Isolation, Limits, WorkerSpec};
use tripline_runtime::EventFormat;

/// A program, and within what it runs.
#[derive(Debug, Clone)]
pub struct ProgramConfig {
    /// Program and arguments. `command`.
    pub command: Vec<String>,
    /// The function's own environment. `env`.
    pub env: Vec<(String, StringOrSecret)>,
    /// Whose rights it runs with. `user`, default the hub's.
    pub user: Option<String>,
    /// `memory`, `cpu`, `pids`, `scratch`, `open_files`, `file_size`; default none.
    pub limits: Limits,
    /// `isolation`, default `best_effort`.
    pub isolation: Isolation,
    /// What the event looks like to it. `event_format`, default `raw` for a process, `cloudevents` for a worker.
    pub event_format: EventFormat,
    /// How many instances, for a worker.
    pub worker: Option<WorkerSpec>,
}

const ISOLATIONS: [(&str, Isolation); 3] = [
    ("best_effort", Isolation::BestEffort),
    ("required", Isolation::Required),
    ("none", Isolation::None),
];

const FORMATS: [(&str, EventFormat); 4] = [
    ("raw", EventFormat::Raw),
    ("cloudevents", EventFormat::CloudEvents),
    ("scf", EventFormat::Scf),
    ("aws", EventFormat::Aws),
];

/// Keys that only a program has.
pub(super) const KEYS: [&str; 12] = [
    "command",
    "env",
    "user",
    "isolation",
    "event_format",
    "memory",
    "cpu",
    "pids",
    "scratch",
    "open_files",
    "file_size",
    "role",
];

/// Keys that only a worker has.
pub(super) const WORKER_KEYS: [&str; 5] = [
    "min_instances",
    "max_instances",
    "idle_timeout",
    "init_timeout",
    "handler",
];

/// Memory below this starts no interpreter.
const LEAST_MEMORY: ByteSize = ByteSize(4 << 20);

/// Reads the keys of a program.
pub(super) fn read(
    table: &mut Table<'_>,
    is_worker: bool,
    concurrency: NonZeroU32,
) -> Option<ProgramConfig> {
    let command =
        table.required_such_as::<Vec<String>>("command", "[\"python3\", \"thumbnail.py\"]");
    let env = table
        .section("env", |env| Some(read_env(env)))
        .unwrap_or_default();
    let user = table.optional("user");
    let isolation = table.one_of("isolation", &ISOLATIONS, Some(Isolation::BestEffort));
    let usual = if is_worker {
        EventFormat::CloudEvents
    } else {
        EventFormat::Raw
    };
    let event_format = table.one_of("event_format", &FORMATS, Some(usual));
    let limits = read_limits(table);
    let worker = is_worker.then(|| read_worker(table, concurrency));
    let is_empty = |words: &Vec<String>| words.first().is_none_or(String::is_empty);
    if command.as_ref().is_some_and(is_empty) {
        let help = "name the program first: command = [\"python3\", \"thumbnail.py\"]".to_owned();
        table.error("command", "there is no program in it", Some(help));
    }
    if command.iter().flatten().any(|word| word.contains('\0')) {
        table.error("command", "no argument can hold a zero byte", None);
    }
    Some(ProgramConfig {
        command: command?,
        env,
        user,
        limits,
        isolation: isolation?,
        event_format: event_format?,
        worker,
    })
}

fn read_limits(table: &mut Table<'_>) -> Limits {
    let memory = table.optional::<ByteSize>("memory");
    if memory.is_some_and(|memory| memory.0 < LEAST_MEMORY.0) {
        let help = "at least 4MiB".to_owned();
        table.error("memory", "no program can start in so little", Some(help));
    }
    let cpu = table.optional::<f64>("cpu");
    if cpu.is_some_and(|cpu| !(0.01..=1024.0).contains(&cpu)) {
        let help = "from 0.01 to 1024, in processors: cpu = 1.5".to_owned();
        table.error("cpu", "not a share of processors", Some(help));
    }
    let mut at_least_one = |key: &str| {
        let count = table.optional::<u64>(key);
        if count == Some(0) {
            table.error(key, "no program can run with none", None);
        }
        count
    };
    let (pids, open_files) = (at_least_one("pids"), at_least_one("open_files"));
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the range was checked; what is out of it is an error already"
    )]
    let millis = |cpu: f64| (cpu * 1000.0).round() as u64;
    Limits {
        memory_bytes: memory.map(|size| size.0),
        cpu_millis: cpu.map(millis),
        pids,
        scratch_bytes: table.optional::<ByteSize>("scratch").map(|size| size.0),
        open_files,
        file_bytes: table.optional::<ByteSize>("file_size").map(|size| size.0),
    }
}

fn read_worker(table: &mut Table<'_>, concurrency: NonZeroU32) -> WorkerSpec {
    let millis = |span: Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let min_instances = table.or("min_instances", 0);
    let max_instances = table.or("max_instances", concurrency).get();
    if min_instances > max_instances {
        let message = format!("{min_instances} is more than `max_instances`, {max_instances}");
        table.error("min_instances", message, None);
    }
    WorkerSpec {
        min_instances,
        max_instances,
        idle_timeout_ms: millis(table.or("idle_timeout", Duration::from_secs(300))),
        init_timeout_ms: millis(table.or("init_timeout", Duration::from_secs(30))),
        handler: table.optional("handler"),
        role: false,
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
    ) in env.named_values()
    {
        let letters = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let good = !name.is_empty()
            && name.chars().all(letters)
            && !name.starts_with(|c: char| c.is_ascii_digit());
        if !good {
            let help = "letters, digits and `_`, not beginning with a digit".to_owned();
            let message = format!("`{}` is not a name for a variable", name.escape_debug());
            env.error_at(&location, message, Some(help));
        } else if name.starts_with("CE_") || name.starts_with("TRIPLINE_") {
            let message = "names that begin with `CE_` or `TRIPLINE_` are set by the hub";
            env.error_at(&location, message, None);
        } else if text.contains('\0') {
            env.error_at(&location, "no variable can hold a zero byte", None);
        }
        let value = secret.map_or(StringOrSecret::Text(text), StringOrSecret::Secret);
        variables.push((name, value));
    }
    env.finish();
    variables
}
