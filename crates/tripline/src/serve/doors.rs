//! The two listeners.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tripline_listener::{ListenError, Listener, ListenerLimits, TlsFiles};

use crate::config::{AdminConfig, DoorBounds, GatewayConfig};
use crate::secrets;

const MAX_HEADER_BYTES: usize = 32 * 1024;

/// A listener that is bound.
pub(super) struct Door {
    pub(super) listener: Listener,
    /// Where it listens.
    pub(super) url: String,
    /// Where callers of this machine reach it.
    pub(super) local_url: String,
}

pub(super) async fn gateway(config: &GatewayConfig, folder: &Path) -> Result<Door, ListenError> {
    let tls = config.tls.as_ref().map(|tls| tls.files(folder));
    open("gateway", config.listen, limits(&config.bounds), tls).await
}

pub(super) async fn admin(config: &AdminConfig, folder: &Path) -> Result<Door, ListenError> {
    let tls = config.tls.as_ref().map(|tls| tls.files(folder));
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

/// Where callers of this machine find what listens on every address.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

/// A private key is a secret as others are: not for everybody to read.
pub(crate) fn refuse_exposed_key(name: &'static str, tls: &TlsFiles) -> Result<(), ListenError> {
    if !secrets::is_exposed_file_of_ours(&tls.key) {
        return Ok(());
    }
    let shown = tls.key.display().to_string();
    Err(ListenError::TlsFile {
        name,
        path: tls.key.clone(),
        reason: format!(
            "others can get at this key: run `chmod 600 {}`, and use a new one: they may have read it",
            shown.escape_debug()
        ),
    })
}

async fn open(
    name: &'static str,
    address: SocketAddr,
    limits: ListenerLimits,
    tls: Option<TlsFiles>,
) -> Result<Door, ListenError> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    if let Some(files) = &tls {
        refuse_exposed_key(name, files)?;
    }
    let listener = Listener::bind(name, address, limits, tls).await?;
    let url = |address: SocketAddr| format!("{scheme}://{address}");
    let listens = listener.local_addr();
    Ok(Door {
        listener,
        url: url(listens),
        local_url: url(reachable(listens)),
    })
}
