//! A hub: starts every part, in the order in which they depend on each other.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tripline_api::{AllowedHosts, ApiState};
use tripline_config::Secret;
use tripline_dispatcher::{Dispatcher, FunctionStatus};
use tripline_executor::client::Executors;
use tripline_journal::{Journal, LogStore, Retention};
use tripline_listener::{Bearer, Gateway, Listener};
use tripline_model::{Clock, FunctionName};
use tripline_trigger::{Supervisor, TriggerState, TriggerStatus};

use super::ServeError;
use super::functions::Functions;
use super::listeners;
use super::parts::{admin_token, dispatcher_parts, not_ready, ports, supervised, traced};
use super::routes::Routes;
use super::runtimes::Runtimes;
use super::storage::Storage;
use super::upkeep::Upkeep;
use crate::clock::SystemClock;
use crate::config::{AdminConfig, Config, FunctionConfig, HubConfig, TriggerConfig};
use crate::secrets::HostSecrets;
use crate::{metrics, telemetry};

/// How long the block that is printed first waits for triggers that are starting.
const TRIGGERS_START_TIMEOUT: Duration = Duration::from_secs(2);
/// How long triggers may take to stop.
const TRIGGERS_STOP_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the record of an ended invocation is kept for its caller, however large the journal is.
const KEEP_AT_LEAST: Duration = Duration::from_secs(15 * 60);
/// How long the notes of a trigger are kept after it was removed from the configuration.
const KEEP_REMOVED: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long requests in flight may take when everything else has stopped.
const REQUESTS_DRAIN_TIMEOUT: Duration = Duration::from_secs(5);

/// A running hub.
pub(super) struct Hub {
    pub(super) data_dir: PathBuf,
    pub(super) gateway_url: String,
    pub(super) admin_url: String,
    gateway: Gateway,
    storage: Storage,
    dispatcher: Dispatcher,
    executors: Executors,
    /// Ends open log streams, once what they follow has ended.
    stopping: CancellationToken,
    supervisor: Supervisor,
    tasks: TaskTracker,
    /// Ends listeners and upkeep, after the drain.
    closing: CancellationToken,
}

/// What the API is given beside the parts of the hub.
struct Given {
    settings: HubConfig,
    admin: AdminConfig,
    clock: Arc<dyn Clock>,
    metrics: PrometheusHandle,
    token: Secret,
    unmet: HashMap<FunctionName, String>,
}

// === impl Hub ===

impl Hub {
    /// Everything that can fail or wait comes before the dispatcher, which starts waiting invocations at once: a hub that
    /// does not come up must leave them waiting.
    pub(super) async fn start(
        config: Config,
        folder: &Path,
        secrets: HostSecrets,
    ) -> Result<Self, ServeError> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let data_dir: PathBuf = folder.join(&config.hub.data_dir).components().collect();
        let functions = Functions::resolve(&config, folder, &secrets)?;
        let storage = Storage::open(&data_dir, Arc::clone(&clock)).await?;
        let metrics = telemetry::start_metrics()?;
        let bound_gateway = listeners::gateway(&config.gateway, folder).await?;
        let bound_admin = listeners::admin(&config.admin, folder).await?;
        let token = admin_token(&data_dir, &bound_gateway, &bound_admin)?;
        let gateway = Gateway::new();
        let routes = |one: &TriggerConfig| (one.name.clone(), one.trigger.routes());
        let routes = Routes::reserve(&gateway, config.triggers.iter().map(routes))?;
        let journal = Arc::clone(&storage.journal) as Arc<dyn Journal>;
        let (journal, exporter) = match &config.traces {
            Some(traces) => traced(traces, journal, &clock, &secrets)?,
            None => (journal, None),
        };
        let share = config.traces.as_ref().map(|traces| traces.share);
        let runtimes = Runtimes::start(functions, &data_dir, &clock, share).await?;
        let parts = dispatcher_parts(&config, journal, &storage, runtimes.all, &clock);
        let dispatcher = match Dispatcher::start(parts).await {
            Ok(dispatcher) => dispatcher,
            Err(error) => {
                runtimes.executors.close().await;
                return Err(error.into());
            }
        };
        // Nothing from here on fails or awaits, so that not even a signal can end the start in between.
        let ports = ports(&dispatcher, &storage, &clock, &gateway, secrets);
        let Config {
            hub: settings,
            admin,
            functions,
            triggers,
            ..
        } = config;
        let triggers = supervised(triggers, &ports.dispatch);
        let hub = Self {
            data_dir,
            gateway_url: bound_gateway.url,
            admin_url: bound_admin.url,
            gateway,
            storage,
            dispatcher,
            executors: runtimes.executors,
            stopping: CancellationToken::new(),
            supervisor: Supervisor::start(triggers, &ports),
            tasks: TaskTracker::new(),
            closing: CancellationToken::new(),
        };
        hub.keep_up(&settings, &functions, &clock, &metrics);
        if let Some(exporter) = exporter {
            hub.tasks.spawn(exporter.run(hub.closing.clone()));
        }
        hub.open_gateway(bound_gateway.listener, routes);
        let given = Given {
            settings,
            admin,
            clock,
            metrics,
            token,
            unmet: runtimes.unmet,
        };
        hub.open_admin(bound_admin.listener, given);
        hub.tasks.close();
        Ok(hub)
    }

    fn keep_up(
        &self,
        settings: &HubConfig,
        functions: &[FunctionConfig],
        clock: &Arc<dyn Clock>,
        metrics: &PrometheusHandle,
    ) {
        // The last line of a log may be that much older than the end of the run, from which its record is kept.
        let timeouts = functions.iter().map(|one| one.function.timeout);
        let longest_run = timeouts.max().unwrap_or_default();
        let upkeep = Upkeep {
            journal: Arc::clone(&self.storage.journal) as Arc<dyn Journal>,
            logs: Arc::clone(&self.storage.logs) as Arc<dyn LogStore>,
            clock: Arc::clone(clock),
            triggers: self
                .supervisor
                .triggers()
                .list()
                .into_iter()
                .map(|one| one.name)
                .collect(),
            retention: Retention {
                keep_ended: settings.keep_ended,
                keep_at_least: KEEP_AT_LEAST,
                max_bytes: settings.max_journal_bytes,
                keep_removed: KEEP_REMOVED,
            },
            keep_logs: settings.keep_logs.saturating_add(longest_run),
            metrics: metrics.clone(),
        };
        self.tasks.spawn(upkeep.run(self.closing.clone()));
    }

    fn metrics_text(&self, recorder: PrometheusHandle) -> Arc<dyn Fn() -> String + Send + Sync> {
        metrics::text(metrics::Sources {
            dispatcher: self.dispatcher.handle(),
            triggers: self.supervisor.triggers(),
            journal: Arc::clone(&self.storage.journal) as Arc<dyn Journal>,
            data_dir: self.data_dir.clone(),
            recorder,
        })
    }

    fn open_gateway(&self, listener: Listener, routes: Routes) {
        let (router, triggers) = (self.gateway.router(), self.supervisor.triggers());
        let closing = self.closing.clone();
        self.tasks.spawn(async move {
            routes.mounted(&triggers).await;
            listener
                .serve(router, closing, REQUESTS_DRAIN_TIMEOUT)
                .await;
        });
    }

    fn open_admin(&self, listener: Listener, given: Given) {
        let api = self.api(listener.local_addr(), given);
        let (router, closing) = (tripline_api::router(api), self.closing.clone());
        self.tasks
            .spawn(listener.serve(router, closing, REQUESTS_DRAIN_TIMEOUT));
    }

    fn api(&self, address: SocketAddr, given: Given) -> ApiState {
        let max_connections = given.admin.bounds.max_connections as usize;
        ApiState {
            unmet: given.unmet,
            dispatch: Arc::new(self.dispatcher.handle()),
            control: Arc::new(self.dispatcher.handle()),
            journal: Arc::clone(&self.storage.journal) as Arc<dyn Journal>,
            logs: Arc::clone(&self.storage.logs) as Arc<dyn LogStore>,
            triggers: self.supervisor.triggers(),
            clock: given.clock,
            token: Bearer::new(given.token.expose()),
            hosts: AllowedHosts::new(address, &given.admin.hosts),
            max_event_bytes: usize::try_from(given.settings.max_event_bytes).unwrap_or(usize::MAX),
            metrics: self.metrics_text(given.metrics),
            not_ready: not_ready(self.dispatcher.handle()),
            // A quarter of the connections is left for everything else.
            max_followers: (max_connections * 3 / 4).max(1),
            closing: self.stopping.clone(),
        }
    }

    /// Functions, with what is queued and running.
    pub(super) fn functions(&self) -> Vec<FunctionStatus> {
        self.dispatcher.handle().functions()
    }

    /// Triggers, with their states.
    pub(super) fn triggers(&self) -> Vec<TriggerStatus> {
        self.supervisor.triggers().list()
    }

    /// Waits, for a moment at most, until no trigger is still starting, so that the block shows their state.
    pub(super) async fn settled(&self) {
        let mut look = tokio::time::interval(Duration::from_millis(10));
        let all_begun = async {
            while self
                .triggers()
                .iter()
                .any(|one| one.state == TriggerState::Starting)
            {
                look.tick().await;
            }
        };
        if tokio::time::timeout(TRIGGERS_START_TIMEOUT, all_begun)
            .await
            .is_err()
        {
            tracing::debug!("some triggers are still starting");
        }
    }

    /// Completes when the journal has failed, with the reason.
    pub(super) async fn failure(&self) -> String {
        self.dispatcher.failure().await
    }

    /// Refuses new events, stops the triggers, lets running functions end within the drain, leaves those that need
    /// longer to their executor, closes the listeners, and releases the data directory.
    pub(super) async fn stop(self) {
        self.gateway.drain();
        self.dispatcher.handle().drain();
        for name in self.supervisor.stop(TRIGGERS_STOP_TIMEOUT).await {
            tracing::warn!(trigger = %name, "did not stop in time and was cut off");
        }
        self.dispatcher.shutdown().await;
        self.executors.close().await;
        self.stopping.cancel();
        self.closing.cancel();
        self.tasks.wait().await;
        self.storage.logs.close().await;
        self.storage.journal.close().await;
        tracing::info!("stopped");
    }
}
