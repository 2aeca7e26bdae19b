//! The gateway's listener and the admin API's, bound as the configuration says.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use tripline_listener::{ListenError, Listener, ListenerLimits, TlsFiles};

use crate::config::{AdminConfig, GatewayConfig, ListenerConfig};
use crate::secrets;

const MAX_HEADER_BYTES: usize = 32 * 1024;

/// A listener that is bound, and its URLs.
pub(super) struct BoundListener {
    pub(super) listener: Listener,
    /// The address it listens on.
    pub(super) url: String,
    /// Where callers on this machine reach it.
    pub(super) local_url: String,
}

pub(super) async fn gateway(
    config: &GatewayConfig,
    folder: &Path,
) -> Result<BoundListener, ListenError> {
    let tls = config.tls.as_ref().map(|tls| tls.files(folder));
    bind("gateway", config.listen, limits(&config.bounds), tls).await
}

pub(super) async fn admin(
    config: &AdminConfig,
    folder: &Path,
) -> Result<BoundListener, ListenError> {
    let tls = config.tls.as_ref().map(|tls| tls.files(folder));
    bind("admin", config.listen, limits(&config.bounds), tls).await
}

fn limits(config: &ListenerConfig) -> ListenerLimits {
    ListenerLimits {
        max_connections: config.max_connections as usize,
        max_connections_per_address: config.max_connections_per_address as usize,
        max_body_memory: usize::try_from(config.max_body_memory).unwrap_or(usize::MAX),
        header_timeout: config.header_timeout,
        idle_timeout: config.idle_timeout,
        max_header_bytes: MAX_HEADER_BYTES,
    }
}

/// Where callers on this machine reach a listener: one that listens on every address is reached on loopback.
fn reachable(listens: SocketAddr) -> SocketAddr {
    let ip = match listens.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listens.port())
}

/// Refuses a private key that other users can read: it is a secret like any other.
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

async fn bind(
    name: &'static str,
    address: SocketAddr,
    limits: ListenerLimits,
    tls: Option<TlsFiles>,
) -> Result<BoundListener, ListenError> {
    let scheme = if tls.is_some() { "https" } else { "http" };
    if let Some(files) = &tls {
        refuse_exposed_key(name, files)?;
    }
    let listener = Listener::bind(name, address, limits, tls).await?;
    let url = |address: SocketAddr| format!("{scheme}://{address}");
    let listens = listener.local_addr();
    Ok(BoundListener {
        listener,
        url: url(listens),
        local_url: url(reachable(listens)),
    })
}
