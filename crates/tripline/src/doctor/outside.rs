//! What a configuration reaches: secrets, brokers, stores, services for credentials, targets of functions, a collector.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tripline_config::{SecretRef, Secrets};
use tripline_credentials::Roles;
use tripline_model::{FunctionName, check_target};
use tripline_runtime::CredentialProvider;

use super::{Checks, Finding};
use crate::clock::SystemClock;
use crate::config::{Config, RoleConfig, Runs};
use crate::secrets::{self, HostSecrets};
use crate::serve::role_settings;

/// How long a connection may take.
const CONNECT: Duration = Duration::from_secs(5);

/// Begins the checks.
pub(super) fn checks(config: &Arc<Config>, checks: &mut Checks) {
    let secrets = Arc::new(HostSecrets {
        folder: std::path::absolute(&config.folder).unwrap_or_else(|_| config.folder.clone()),
    });
    let all: BTreeSet<_> = config.secrets().into_iter().map(Named).collect();
    for Named(reference) in all {
        let secrets = Arc::clone(&secrets);
        let name = format!("secret {reference}");
        let uses = config.who_uses(&reference);
        checks.add_blocking(&name, move || secret(&secrets, &reference, &uses));
    }
    for function in &config.functions {
        let name = &function.function.name;
        if let Some(role) = &function.role {
            let check = credentials(name.clone(), role.clone(), Arc::clone(&secrets));
            checks.add(format!("credentials of {name}"), check);
        }
        if let Runs::Http(http) = &function.runs {
            checks.add(
                format!("target of {name}"),
                target(http.url.clone(), http.allow_private),
            );
        }
    }
    for place in 0..config.triggers.len() {
        let (config, secrets) = (Arc::clone(config), Arc::clone(&secrets));
        let name = format!("trigger {}", config.triggers[place].name);
        checks.add(name, async move {
            let trigger = &config.triggers[place];
            match trigger.trigger.probe(secrets.as_ref()).await {
                Ok(found) => {
                    Finding::good(found.unwrap_or_else(|| "nothing has to be reached".to_owned()))
                }
                Err(error) => Finding::bad(
                    error.chain(),
                    format!("correct `[triggers.{}]`, or what it reaches", trigger.name),
                ),
            }
        });
    }
    if let Some(traces) = &config.traces {
        checks.add("traces", target(traces.endpoint.clone(), true));
    }
}

/// A reference, once for all that use it.
struct Named(SecretRef);

impl PartialEq for Named {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Named {}

impl PartialOrd for Named {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Named {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.to_string().cmp(&other.0.to_string())
    }
}

fn secret(secrets: &HostSecrets, reference: &SecretRef, uses: &str) -> Finding {
    match secrets.resolve(reference) {
        Ok(_) if secrets.is_doubtful(reference) => Finding::doubtful(
            "it is there, in a file of another user that anybody here can get at",
            "take others' rights to it away, unless it is mounted where only the hub sees it",
        ),
        Ok(_) => Finding::good("it is there"),
        Err(error) => Finding::bad(format!("{error}; {uses}"), secrets::mend(&error)),
    }
}

/// Gets credentials once, as a run would.
async fn credentials(
    function: FunctionName,
    role: RoleConfig,
    secrets: Arc<HostSecrets>,
) -> Finding {
    let mend = "correct `role`, or what the service at `sts` knows of this key";
    let settings = match role_settings(&role, secrets.as_ref()) {
        Ok(settings) => settings,
        Err(error) => return Finding::bad(error.to_string(), secrets::mend(&error)),
    };
    let roles = match Roles::new(vec![(function.clone(), settings)], Arc::new(SystemClock)) {
        Ok(roles) => roles,
        Err(error) => return Finding::bad(error.to_string(), mend),
    };
    match roles.credentials(&function).await {
        Ok(_) => Finding::good(format!("{} gives some", role.sts)),
        Err(error) => Finding::bad(error, mend),
    }
}

/// Connects where a run would, and says nothing: a request would be a run.
async fn target(url: http::Uri, allow_private: bool) -> Finding {
    let host = url
        .host()
        .unwrap_or_default()
        .trim_matches(['[', ']'])
        .to_owned();
    let usual = if url.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let port = url.port_u16().unwrap_or(usual);
    let addresses: Vec<_> = match tokio::net::lookup_host((host.as_str(), port)).await {
        Ok(addresses) => addresses.collect(),
        Err(error) => return Finding::bad(format!("{host}: {error}"), "correct the URL"),
    };
    let mut refused = addresses
        .iter()
        .filter_map(|found| check_target(found.ip()).err());
    // One of them is enough for a run to be refused.
    if let (false, Some(refused)) = (allow_private, refused.next()) {
        let mend = "every run would fail: set `allow_private = true`, or correct the URL";
        return Finding::bad(format!("{host}: {refused}"), mend);
    }
    let connected = tokio::time::timeout(CONNECT, TcpStream::connect(&addresses[..])).await;
    let why = match connected {
        Ok(Ok(_)) => return Finding::good(format!("{host}:{port} takes connections")),
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no connection within {CONNECT:?}"),
    };
    Finding::bad(
        format!("{host}:{port}: {why}"),
        "correct the URL, or start what should listen there",
    )
}
