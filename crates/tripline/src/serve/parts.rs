//! What the parts of a hub are made of.

use std::path::Path;
use std::sync::Arc;

use tripline_config::Secret;
use tripline_dispatcher::{
    Dispatcher, DispatcherConfig, DispatcherHandle, DispatcherParts, Entropy,
};
use tripline_journal::{Journal, LogStore};
use tripline_listener::Gateway;
use tripline_model::{Clock, Cursors, Dispatch};
use tripline_runtime::Runtime;
use tripline_trigger::{Ports, Supervised};

use super::ServeError;
use super::functions::resolve;
use super::listeners::BoundListener;
use super::storage::Storage;
use crate::config::{Config, TracesConfig, TriggerConfig};
use crate::secrets::HostSecrets;
use crate::token;
use crate::traces::{self, Exporter};

/// A journal that records spans, and the exporter that sends them to a collector.
pub(super) fn traced(
    config: &TracesConfig,
    journal: Arc<dyn Journal>,
    clock: &Arc<dyn Clock>,
    secrets: &HostSecrets,
) -> Result<(Arc<dyn Journal>, Option<Exporter>), ServeError> {
    let service = journal.hub_id();
    let target = traces::Target {
        endpoint: config.endpoint.to_string(),
        headers: resolve(&config.headers, secrets)?,
        share: config.share,
    };
    let (journal, exporter) = traces::traced(journal, Arc::clone(clock), target, service)?;
    Ok((journal, Some(exporter)))
}

pub(super) fn dispatcher_parts(
    config: &Config,
    journal: Arc<dyn Journal>,
    storage: &Storage,
    runtimes: Vec<Arc<dyn Runtime>>,
    clock: &Arc<dyn Clock>,
) -> DispatcherParts {
    let limits = config.triggers.iter();
    let limits = limits.filter_map(|one| Some((one.name.clone(), one.qps?)));
    let functions = config.functions.iter().map(|one| one.function.clone());
    DispatcherParts {
        config: DispatcherConfig {
            qps: config.hub.qps,
            push_share_percent: config.hub.push_share_percent,
            trigger_qps: limits.collect(),
            max_queued: config.hub.max_queued,
            max_event_bytes: config.hub.max_event_bytes,
            drain: config.hub.drain,
        },
        functions: functions.collect(),
        journal,
        logs: Arc::clone(&storage.logs) as Arc<dyn LogStore>,
        runtimes,
        clock: Arc::clone(clock),
        entropy: entropy(),
    }
}

/// Why the hub takes no events, for `/readyz`.
pub(super) fn not_ready(
    dispatcher: DispatcherHandle,
) -> Arc<dyn Fn() -> Vec<&'static str> + Send + Sync> {
    Arc::new(move || {
        if dispatcher.draining() {
            vec!["draining"]
        } else {
            Vec::new()
        }
    })
}

/// Ten random bytes at each call. They are read from the system for some hundred calls at once, because ids are made one
/// after the other, under a lock.
fn entropy() -> Entropy {
    let (mut pool, mut left) = ([[0; 10]; 256], 0);
    Box::new(move || {
        if left == 0 {
            let bytes = pool.as_flattened_mut();
            getrandom::fill(bytes).expect("Linux gives random bytes to every process");
            left = pool.len();
        }
        left -= 1;
        pool[left]
    })
}

pub(super) fn admin_token(
    data_dir: &Path,
    gateway: &BoundListener,
    admin: &BoundListener,
) -> Result<Secret, ServeError> {
    let token = token::load_or_make(data_dir).map_err(|source| ServeError::Io {
        what: "the admin token".to_owned(),
        source,
    })?;
    token::write_addresses(data_dir, &admin.local_url, &gateway.local_url).map_err(|source| {
        ServeError::Io {
            what: token::ADDRESS_FILE.to_owned(),
            source,
        }
    })?;
    Ok(token)
}

/// The triggers with their functions, which the configuration has checked to exist.
pub(super) fn supervised(
    triggers: Vec<TriggerConfig>,
    dispatch: &Arc<dyn Dispatch>,
) -> Vec<Supervised> {
    let with_function = |one: TriggerConfig| {
        let function = dispatch.function(&one.function)?;
        let TriggerConfig {
            name,
            kind,
            enabled,
            trigger,
            ..
        } = one;
        Some(Supervised {
            name,
            kind,
            function,
            enabled,
            trigger,
        })
    };
    triggers.into_iter().filter_map(with_function).collect()
}

/// What triggers are given.
pub(super) fn ports(
    dispatcher: &Dispatcher,
    storage: &Storage,
    clock: &Arc<dyn Clock>,
    gateway: &Gateway,
    secrets: HostSecrets,
) -> Ports {
    Ports {
        dispatch: Arc::new(dispatcher.handle()),
        cursors: Arc::clone(&storage.journal) as Arc<dyn Cursors>,
        clock: Arc::clone(clock),
        gateway: gateway.clone(),
        secrets: Arc::new(secrets),
        hub_id: storage.journal.hub_id().into(),
    }
}
