//! `tripline.toml`: what the user writes, read strictly and all at once.
//!
//! Reading touches neither network nor disk nor environment, so that `tripline check` can be run anywhere. Secrets are
//! references here; `serve` resolves them.

mod function;
mod headers;
mod http_function;
mod hub;
mod listeners;
mod program;
mod role;
mod traces;
mod trigger;
mod url;
mod uses;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use tripline_config::{ConfigErrors, Document, SecretRef, StringOrSecret, Table, nearest};
use tripline_listener::{Gateway, Route, RouteRefused};
use tripline_trigger::Registry;

pub use function::{FunctionConfig, Runs};
pub use http_function::HttpConfig;
pub use hub::{HubConfig, LogFormat};
pub use listeners::{AdminConfig, GatewayConfig, ListenerConfig, TlsConfig};
pub use program::ProgramConfig;
pub use role::RoleConfig;
pub use traces::TracesConfig;
pub use trigger::TriggerConfig;

/// A whole configuration that was found to be without error.
pub struct Config {
    /// `[hub]`.
    pub hub: HubConfig,
    /// `[gateway]`.
    pub gateway: GatewayConfig,
    /// `[admin]`.
    pub admin: AdminConfig,
    /// `[traces]`.
    pub traces: Option<TracesConfig>,
    /// `[functions.NAME]`, in file order.
    pub functions: Vec<FunctionConfig>,
    /// `[triggers.NAME]`, in file order.
    pub triggers: Vec<TriggerConfig>,
    /// The folder of the file: relative paths start here, and functions run here.
    pub folder: PathBuf,
    secret_uses: Vec<uses::Use>,
}

impl Config {
    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn read(path: &Path, text: &str, kinds: &Registry) -> Result<Self, ConfigErrors> {
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
            _ => PathBuf::from("."),
        };
        let document = Document::new(path.display().to_string(), text);
        let config = document.read(|root| read_root(root, kinds, folder))?;
        Ok(Self {
            secret_uses: uses::uses(text),
            ..config
        })
    }

    /// Which keys use a secret: `used by [triggers.uploads] access_key (line 12)`.
    pub(crate) fn who_uses(&self, secret: &SecretRef) -> String {
        let uses = self.secret_uses.iter().filter(|(of, _)| of == secret);
        let keys: Vec<_> = uses.map(|(_, key)| key.as_str()).collect();
        format!("used by {}", keys.join(", "))
    }

    /// Every secret the configuration refers to.
    pub fn secrets(&self) -> Vec<SecretRef> {
        let functions = self.functions.iter().flat_map(FunctionConfig::secrets);
        let triggers = self
            .triggers
            .iter()
            .flat_map(|trigger| trigger.trigger.secrets());
        let traces = self.traces.iter().flat_map(|traces| &traces.headers);
        let traces = traces.filter_map(|(_, value)| match value {
            StringOrSecret::Secret(reference) => Some(reference.clone()),
            StringOrSecret::Text(_) => None,
        });
        functions.chain(triggers).chain(traces).collect()
    }
}

fn read_root(root: &mut Table<'_>, kinds: &Registry, folder: PathBuf) -> Option<Config> {
    let hub = root.section("hub", |table| hub::read(Some(table)));
    let hub = if root.has("hub") {
        hub
    } else {
        hub::read(None)
    };
    let max_timeout = hub
        .as_ref()
        .map_or(hub::DEFAULT_MAX_TIMEOUT, |hub| hub.max_timeout);
    let max_event_bytes = hub.as_ref().map_or(u64::MAX, |hub| hub.max_event_bytes);
    let mut listens_at = root.location("");
    let gateway = root.section("gateway", |table| {
        listens_at = table.location("listen");
        listeners::read_gateway(Some(table))
    });
    let gateway = if root.has("gateway") {
        gateway
    } else {
        listeners::read_gateway(None)
    };
    let admin = root.section("admin", |table| {
        listens_at = table.location("listen");
        listeners::read_admin(Some(table))
    });
    let admin = if root.has("admin") {
        admin
    } else {
        listeners::read_admin(None)
    };
    if let (Some(gateway), Some(admin)) = (&gateway, &admin)
        && listeners::exclude_each_other(gateway.listen, admin.listen)
    {
        let message = format!(
            "the gateway listens on {} and the admin API on {}: only one of them could",
            gateway.listen, admin.listen
        );
        let help = "give one of them another port".to_owned();
        root.error_at(&listens_at, message, Some(help));
    }

    let traces = root.section("traces", traces::read);

    let mut function_names = Vec::new();
    let functions = root.sections("functions", |name, table| {
        function_names.push(name.to_owned());
        function::read(name, table, max_timeout)
    });
    let triggers = root.sections("triggers", |name, table| {
        trigger::read(name, table, kinds, &function_names, max_event_bytes)
    });
    refuse_taken_routes(root, &triggers);
    root.finish();
    Some(Config {
        hub: hub?,
        gateway: gateway?,
        admin: admin?,
        traces,
        functions,
        triggers,
        folder,
        secret_uses: Vec::new(),
    })
}

/// Two triggers cannot answer the same requests. A gateway like the one that is served says what can be had together.
fn refuse_taken_routes(root: &mut Table<'_>, triggers: &[TriggerConfig]) {
    let each = triggers.iter().flat_map(|trigger| {
        let routes = trigger.trigger.routes().into_iter();
        routes.map(move |route| (trigger, route))
    });
    let (owners, routes): (Vec<&TriggerConfig>, Vec<Route>) = each.unzip();
    let mut first = HashMap::new();
    for (route, owner) in routes.iter().zip(&owners) {
        let first = *first.entry(route).or_insert(*owner);
        if first.name != owner.name {
            let refused = RouteRefused::taken(route.clone(), route.clone());
            refuse_route(root, owner, &refused, Some(first));
        }
    }
    for (at, refused) in Gateway::new().reserve_all(&routes) {
        let other = refused.other.as_ref();
        let other = other.and_then(|other| first.get(other).copied());
        refuse_route(root, owners[at], &refused, other);
    }
}

fn refuse_route(
    root: &mut Table<'_>,
    owner: &TriggerConfig,
    refused: &RouteRefused,
    other: Option<&TriggerConfig>,
) {
    let of = other.map_or_else(String::new, |other| format!(" of trigger `{}`", other.name));
    let message = format!("{refused}{of}");
    root.error_at(
        &owner.route_location,
        message,
        Some(refused.help().to_owned()),
    );
}

/// "did you mean …" for a name out of a known list, and the list.
fn known_names<'a>(word: &str, known: impl IntoIterator<Item = &'a str>, what: &str) -> String {
    let known: Vec<&str> = known
        .into_iter()
        .collect::<HashSet<_>>()
        .into_iter()
        .collect();
    let mut listed = known.clone();
    listed.sort_unstable();
    if listed.is_empty() {
        return format!("there are no {what}");
    }
    let listed = listed.join(", ");
    match nearest(word, known) {
        Some(name) => format!("did you mean `{name}`? {what}: {listed}"),
        None => format!("{what}: {listed}"),
    }
}

#[cfg(test)]
mod tests;
