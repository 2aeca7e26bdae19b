//! `tripline serve`: the parts, put together in one place, and taken apart again in the right order.

mod banner;

mod functions;
mod hub;
mod listeners;
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

/// How long a thread that may block is kept without work.
const KEEP_THREADS: Duration = Duration::from_secs(150);

/// Why a hub did not start.
#[derive(Debug, thiserror::Error)]
enum ServeError {
    #[error("{}\n  = help: {}", .0, ExecutionLocked::HELP)]
    ExecutionLocked(ExecutionLocked),
    #[error("{}", told(.0))]
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

/// A function that is not what it was created as.
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
    /// What to do.
    pub(crate) const HELP: &str = "give it a new name, or remove it from the configuration, start the hub once, and add it again";
}

/// How long work on other threads may go on at the end.
const LAST_WORK: Duration = Duration::from_secs(5);

/// Runs a hub until it is told to stop.
pub(crate) fn serve(file: &Path, out: &mut impl Write, errors: &mut impl Write) -> Exit {
    let config = match load(file) {
        Ok(config) => config,
        Err(failure) => return failure.say(false, out, errors),
    };
    telemetry::start_log(config.hub.log_format, &config.hub.log_level);
    secrets::hide_memory();
    panic_hook::install();
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        // Upkeep reads once a minute: with one thread left over, a machine that has no more of them makes readers wait
        // and never fails them.
        .thread_keep_alive(KEEP_THREADS)
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
            // If stderr is closed there is nobody to tell; the exit code still says it.
            let _ = writeln!(errors, "error: {error}");
            exit
        }
    };
    // What must be kept is kept by now. Work that blocks a thread must not keep a process that was told to end.
    runtime.shutdown_timeout(LAST_WORK);
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
    let told: Vec<String> = missing.into_iter().collect();
    Err(ServeError::Secrets(told.join("\nerror: ")))
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

/// What is wrong with a secret, and what to do.
fn told(error: &SecretError) -> String {
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
            // Nothing was promised yet, and what is half begun is what a crash leaves: the next life takes it up.
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
            let said = out.write_all(ready.as_bytes()).and_then(|()| out.flush());
            match said {
                // Functions may run by now: it ends as any hub that runs.
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

/// What is waited for from now on. A call of an `http` function is the hub's own, and ends with it.
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
    let said = ["stopping".to_owned()].into_iter().chain(runs).chain(calls);
    let last = "a second signal ends at once".to_owned();
    said.chain([last]).collect::<Vec<_>>().join("; ")
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
    fn a_stop_says_what_it_waits_for() {
        let said = |all: &[FunctionStatus]| stopping(all, Duration::from_secs(30));
        let one = [running("f", "process", 1)];
        assert_eq!(stopping(&one, Duration::ZERO), "stopping");
        assert_eq!(
            said(&[running("f", "process", 0)]),
            "stopping; a second signal ends at once"
        );
        assert_eq!(
            said(&[running("f", "process", 1)]),
            "stopping; 1 run may end within 30s, then it goes on without the hub; a second signal ends at once"
        );
        let all = [
            running("f", "process", 1),
            running("g", "worker", 2),
            running("h", "http", 1),
        ];
        assert_eq!(
            said(&all),
            "stopping; 3 runs may end within 30s, then they go on without the hub; \
             1 call of an http function may end within 30s, then it is ended; a second signal ends at once"
        );
    }

    #[tokio::test]
    async fn a_taken_address_is_told_with_its_key() {
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
