//! `tripline serve`: starts the parts of a hub, and stops them in the right order.

mod banner;
mod functions;
mod hub;
mod listeners;
mod parts;
mod routes;
mod runtimes;
mod storage;
mod upkeep;

use std::collections::BTreeSet;
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

use tripline_config::{SecretError, Secrets};
use tripline_credentials::StsError;
use tripline_dispatcher::{DispatcherError, FunctionStatus};
use tripline_executor::client::ClientError;
use tripline_journal::{JournalError, OpenError};
use tripline_listener::{ListenError, RouteRefused};
use tripline_runtime::{HttpRuntime, HttpTargetError};

use crate::check::load;
use crate::cli::Exit;
use crate::config::Config;
use crate::journal::with_help;
use crate::secrets::HostSecrets;
use crate::signals::StopSignals;
use crate::traces::ExporterError;
use crate::{panic_hook, secrets, telemetry};
use hub::Hub;

pub(crate) use functions::{role_settings, spec};
pub(crate) use listeners::refuse_exposed_key;

/// How long an idle thread for blocking work is kept.
const IDLE_THREAD_LIFETIME: Duration = Duration::from_secs(150);

/// Why a hub did not start.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("{}\n  = help: {}", .0, ExecutionLocked::HELP)]
    ExecutionLocked(ExecutionLocked),
    #[error("{}", with_remedy(.0))]
    Secret(#[from] SecretError),
    /// All that are missing, one after the other.
    #[error("{0}")]
    Secrets(String),
    #[error("{}", with_help(.0))]
    Open(#[from] OpenError),
    #[error("{0}")]
    Start(DispatcherError),
    #[error("{}{}", .0, free_it(.0))]
    Listen(#[from] ListenError),
    #[error("{0}")]
    Route(#[from] RouteRefused),
    #[error("{what}: {source}")]
    Io {
        what: String,
        source: std::io::Error,
    },
    #[error("{0}")]
    Executors(#[from] ClientError),
    #[error("{0}")]
    HttpFunction(#[from] HttpTargetError),
    #[error("{0}")]
    Role(#[from] StsError),
    #[error("{0}")]
    Traces(#[from] ExporterError),
    #[error("metrics: {0}")]
    Metrics(#[from] metrics_exporter_prometheus::BuildError),
}

/// A function whose `execution` is not the one it was created with.
#[derive(Debug, thiserror::Error)]
#[error(
    "function `{function}` was created with execution = \"{locked}\", which cannot be changed to \"{wanted}\""
)]
pub(crate) struct ExecutionLocked {
    pub(crate) function: String,
    pub(crate) locked: &'static str,
    pub(crate) wanted: &'static str,
}

// === impl ExecutionLocked ===

impl ExecutionLocked {
    /// What to do about it.
    pub(crate) const HELP: &str = "give it a new name, or remove it from the configuration, start the hub once, and add it again";
}

/// How long blocking work on other threads may go on at the end.
const BLOCKING_WORK_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs a hub until it is stopped.
pub(crate) fn serve(file: &Path, out: &mut impl Write, errors: &mut impl Write) -> Exit {
    let config = match load(file) {
        Ok(config) => config,
        Err(failure) => return failure.print(false, out, errors),
    };
    telemetry::start_log(config.hub.log_format, &config.hub.log_level);
    secrets::hide_memory();
    panic_hook::install();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Upkeep reads once a minute: with one thread left over, a machine that has no more of them makes readers wait
        // and never fails them.
        .thread_keep_alive(IDLE_THREAD_LIFETIME)
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "no threads can be had");
            return Exit::Failed;
        }
    };
    let exit = match runtime.block_on(run(config, out)) {
        Ok(exit) => exit,
        Err(error) => {
            let exit = error.exit();
            // If stderr is closed, the exit code still shows it.
            let _ = writeln!(errors, "error: {error}");
            exit
        }
    };
    // What must be kept is on disk by now. Work that blocks a thread must not keep a process alive that is to end.
    runtime.shutdown_timeout(BLOCKING_WORK_TIMEOUT);
    exit
}

impl ServeError {
    fn exit(&self) -> Exit {
        match self {
            Self::ExecutionLocked(_) | Self::Secret(_) | Self::Secrets(_) | Self::Route(_) => {
                Exit::Usage
            }
            Self::Open(_)
            | Self::Start(_)
            | Self::Listen(_)
            | Self::Executors(_)
            | Self::HttpFunction(_)
            | Self::Role(_)
            | Self::Traces(_)
            | Self::Io { .. }
            | Self::Metrics(_) => Exit::Failed,
        }
    }
}

impl From<DispatcherError> for ServeError {
    fn from(error: DispatcherError) -> Self {
        match error {
            DispatcherError::Journal(JournalError::ExecutionLocked {
                function,
                locked,
                wanted,
            }) => Self::ExecutionLocked(ExecutionLocked {
                function: function.to_string(),
                locked: locked.as_str(),
                wanted: wanted.as_str(),
            }),
            other => Self::Start(other),
        }
    }
}

/// Resolves every secret once, so that one start names all that are missing.
fn all_there(config: &Config, secrets: &HostSecrets) -> Result<(), ServeError> {
    let missing = config.secrets().into_iter().filter_map(|one| {
        let error = secrets.resolve(&one).err()?;
        let (uses, mend) = (config.who_uses(&one), secrets::mend(&error));
        Some(format!("{error}; {uses}\n  = help: {mend}"))
    });
    let missing: BTreeSet<String> = missing.collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing: Vec<String> = missing.into_iter().collect();
    Err(ServeError::Secrets(missing.join("\nerror: ")))
}

/// What to do about an address that is taken.
fn free_it(error: &ListenError) -> String {
    match error {
        ListenError::Bind { name, source, .. } if source.kind() == ErrorKind::AddrInUse => format!(
            "\n  = help: another program has it (a hub?): stop it, or set `listen` in [{name}]"
        ),
        _ => String::new(),
    }
}

/// What is wrong with a secret, and what to do about it.
fn with_remedy(error: &SecretError) -> String {
    format!("{error}\n  = help: {}", secrets::mend(error))
}

async fn run(config: Config, out: &mut impl Write) -> Result<Exit, ServeError> {
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| ServeError::Io { what, source }
    };
    let folder = std::path::absolute(&config.folder).map_err(io("the configuration's folder"))?;
    let secrets = HostSecrets {
        folder: folder.clone(),
    };
    all_there(&config, &secrets)?;
    let drain = config.hub.drain;
    let mut signals = StopSignals::take().map_err(io("signals"))?;
    let hub = tokio::select! {
        hub = Hub::start(config, &folder, secrets) => hub?,
        name = signals.next() => {
            // No receipt was given yet, and what is half done is what a crash would leave: the next start recovers it.
            tracing::info!("{name} while starting: ending");
            return Ok(Exit::Done);
        }
    };
    // From here on events come in, also while triggers still look for their sources.
    let stop = tokio::select! {
        name = signals.next() => Some(name),
        () = hub.settled() => None,
    };
    let stop = match stop {
        Some(name) => Ok(name),
        None => {
            let ready = banner::ready(&hub);
            let printed = out.write_all(ready.as_bytes()).and_then(|()| out.flush());
            match printed {
                // Functions may run by now, so this stops like any running hub.
                Err(error) => Err(format!("standard output: {error}")),
                Ok(()) => tokio::select! {
                    name = signals.next() => Ok(name),
                    why = hub.failure() => Err(why),
                },
            }
        }
    };
    match &stop {
        Ok(name) => tracing::info!("{name}: {}", stopping(&hub.functions(), drain)),
        Err(why) => tracing::error!(why, "the hub cannot go on: stopping"),
    }
    tokio::select! {
        () = hub.stop() => Ok(if stop.is_ok() { Exit::Done } else { Exit::Failed }),
        name = signals.next() => {
            tracing::warn!("{name} again: ending at once; functions on this machine go on, and the next hub finds them");
            Ok(Exit::Failed)
        }
    }
}

/// What the stop waits for, for the log. A call of an `http` function is made by the hub itself, and ends with it.
fn stopping(functions: &[FunctionStatus], drain: Duration) -> String {
    if drain.is_zero() {
        return "stopping".to_owned();
    }
    let (calls, runs): (Vec<_>, Vec<_>) = functions
        .iter()
        .partition(|one| one.function.runtime == HttpRuntime::KIND);
    let running = |these: Vec<&FunctionStatus>| these.iter().map(|one| one.running).sum::<u64>();
    let (runs, calls) = (running(runs), running(calls));
    let runs = match runs {
        0 => None,
        1 => Some(format!(
            "1 run may end within {drain:?}, then it goes on without the hub"
        )),
        _ => Some(format!(
            "{runs} runs may end within {drain:?}, then they go on without the hub"
        )),
    };
    let calls = match calls {
        0 => None,
        1 => Some(format!(
            "1 call of an http function may end within {drain:?}, then it is ended"
        )),
        _ => Some(format!(
            "{calls} calls of http functions may end within {drain:?}, then they are ended"
        )),
    };
    let first = "stopping".to_owned();
    let last = "a second signal ends at once".to_owned();
    let parts = [first].into_iter().chain(runs).chain(calls).chain([last]);
    parts.collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use tripline_listener::ListenerLimits;

    use super::*;

    fn running(name: &str, runtime: &'static str, running: u64) -> FunctionStatus {
        let text = format!("[functions.{name}]\ncommand = ['true']\n");
        let config = Config::read(Path::new("tripline.toml"), &text, &crate::kinds());
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        let mut function = config.functions[0].function.clone();
        function.runtime = runtime;
        FunctionStatus {
            function,
            queued: 7,
            running,
            reclaim_pending: 0,
        }
    }

    #[test]
    fn the_message_of_a_stop_has_what_it_waits_for() {
        let message = |all: &[FunctionStatus]| stopping(all, Duration::from_secs(30));
        let one = [running("f", "process", 1)];
        assert_eq!(stopping(&one, Duration::ZERO), "stopping");
        assert_eq!(
            message(&[running("f", "process", 0)]),
            "stopping; a second signal ends at once"
        );
        assert_eq!(
            message(&[running("f", "process", 1)]),
            "stopping; 1 run may end within 30s, then it goes on without the hub; a second signal ends at once"
        );
        let all = [
            running("f", "process", 1),
            running("g", "worker", 2),
            running("h", "http", 1),
        ];
        assert_eq!(
            message(&all),
            "stopping; 3 runs may end within 30s, then they go on without the hub; \
             1 call of an http function may end within 30s, then it is ended; a second signal ends at once"
        );
    }

    #[tokio::test]
    async fn a_taken_address_is_reported_with_its_key() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        let limits = ListenerLimits::default();
        let refused = tripline_listener::Listener::bind("admin", address, limits, None).await;
        let error = ServeError::from(refused.err().expect("it is taken")).to_string();
        let help =
            "\n  = help: another program has it (a hub?): stop it, or set `listen` in [admin]";
        assert!(error.ends_with(help), "{error}");
    }
}
