//! The two listeners.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tripline_listener::{ListenError, Listener, ListenerLimits, TlsFiles};

use crate::config::{AdminConfig, GatewayConfig, TlsConfig};

/// Connections of people and tools to the admin API.
const ADMIN_CONNECTIONS: usize = 256;
const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
const IDLE_TIMEOUT: Duration = Duration::from_secs(75);
const MAX_HEADER_BYTES: usize = 32 * 1024;

/// A listener that is bound, and the URL under which it is reached.
pub(super) struct Door {
    pub(super) listener: Listener,
    pub(super) url: String,
}

pub(super) async fn gateway(config: &GatewayConfig, folder: &Path) -> Result<Door, ListenError> {
    let limits = ListenerLimits {
        max_connections: config.max_connections as usize,
        header_timeout: config.header_timeout,
        idle_timeout: config.idle_timeout,
        max_header_bytes: MAX_HEADER_BYTES,
    };
    open(
        "gateway",
        config.listen,
        limits,
        files(config.tls.as_ref(), folder),
    )
    .await
}

pub(super) async fn admin(config: &AdminConfig, folder: &Path) -> Result<Door, ListenError> {
    let limits = ListenerLimits {
        max_connections: ADMIN_CONNECTIONS,
        header_timeout: HEADER_TIMEOUT,
        idle_timeout: IDLE_TIMEOUT,
        max_header_bytes: MAX_HEADER_BYTES,
    };
    open(
        "admin",
        config.listen,
        limits,
        files(config.tls.as_ref(), folder),
    )
    .await
}

fn files(tls: Option<&TlsConfig>, folder: &Path) -> Option<TlsFiles> {
    tls.map(|tls| TlsFiles {
        cert: folder.join(&tls.cert),
        key: folder.join(&tls.key),
    })
}

async fn open(
    name: &'static str,
    address: SocketAddr,
    limits: ListenerLimits,
    tls: Option<TlsFiles>,
) -> Result<Door, ListenError> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    let listener = Listener::bind(name, address, limits, tls).await?;
    let url = format!("{scheme}://{}", listener.local_addr());
    Ok(Door { listener, url })
}
