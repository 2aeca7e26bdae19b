//! The two listeners.

use std::net::SocketAddr;
use std::path::Path;

use tripline_listener::{ListenError, Listener, ListenerLimits, TlsFiles};

use crate::config::{AdminConfig, DoorBounds, GatewayConfig, TlsConfig};

const MAX_HEADER_BYTES: usize = 32 * 1024;

/// A listener that is bound, and the URL under which it is reached.
pub(super) struct Door {
    pub(super) listener: Listener,
    pub(super) url: String,
}

pub(super) async fn gateway(config: &GatewayConfig, folder: &Path) -> Result<Door, ListenError> {
    let tls = files(config.tls.as_ref(), folder);
    open("gateway", config.listen, limits(&config.bounds), tls).await
}

pub(super) async fn admin(config: &AdminConfig, folder: &Path) -> Result<Door, ListenError> {
    let tls = files(config.tls.as_ref(), folder);
    open("admin", config.listen, limits(&config.bounds), tls).await
}

fn limits(bounds: &DoorBounds) -> ListenerLimits {
    ListenerLimits {
        max_connections: bounds.max_connections as usize,
        max_connections_per_address: bounds.max_connections_per_address as usize,
        max_body_memory: usize::try_from(bounds.max_body_memory).unwrap_or(usize::MAX),
        header_timeout: bounds.header_timeout,
        idle_timeout: bounds.idle_timeout,
        max_header_bytes: MAX_HEADER_BYTES,
    }
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
