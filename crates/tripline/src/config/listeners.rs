//! `[gateway]` and `[admin]`: the two addresses the hub listens on.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use tripline_config::{FromToml, Table, Value};

/// Certificate and key for HTTPS, as PEM files relative to the configuration.
#[derive(Debug, Clone)]
pub struct TlsConfig {
    /// The certificate chain.
    pub cert: PathBuf,
    /// The private key.
    pub key: PathBuf,
}

/// `[gateway]`: HTTP triggers and S3 webhooks.
#[derive(Debug, Clone)]
pub struct GatewayConfig {
    /// `listen`, default `127.0.0.1:8080`.
    pub listen: SocketAddr,
    /// `tls = { cert, key }`.
    pub tls: Option<TlsConfig>,
    /// Connections at the same time. `max_connections`, default 1,024.
    pub max_connections: u32,
    /// Time for a request's header to arrive. `header_timeout`, default `10s`.
    pub header_timeout: Duration,
    /// Time a connection may stay without a request. `idle_timeout`, default `75s`.
    pub idle_timeout: Duration,
}

/// `[admin]`: REST API and metrics; every request needs the token.
#[derive(Debug, Clone)]
pub struct AdminConfig {
    /// `listen`, default `127.0.0.1:8081`. Beyond loopback only with `tls`.
    pub listen: SocketAddr,
    /// `tls = { cert, key }`.
    pub tls: Option<TlsConfig>,
    /// Further names under which the API may be addressed. `hosts`, default none.
    pub hosts: Vec<String>,
}

impl FromToml for TlsConfig {
    const EXPECTED: &'static str = "a certificate and its key";
    const EXAMPLE: &'static str = "{ cert = \"tls/cert.pem\", key = \"tls/key.pem\" }";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        if !value.is_table() {
            return Err(format!("this is {}", value.kind_name()));
        }
        let files = value.section(|table| {
            let (cert, key) = (table.required("cert"), table.required("key"));
            table.finish();
            Some(Self {
                cert: cert?,
                key: key?,
            })
        });
        // Empty: the section has recorded what is wrong.
        files.ok_or_else(String::new)
    }
}

/// Reads `[gateway]`, or takes every default without one.
pub(super) fn read_gateway(table: Option<&mut Table<'_>>) -> Option<GatewayConfig> {
    let mut gateway = GatewayConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)),
        tls: None,
        max_connections: 1_024,
        header_timeout: Duration::from_secs(10),
        idle_timeout: Duration::from_secs(75),
    };
    if let Some(table) = table {
        gateway.listen = table.or("listen", gateway.listen);
        gateway.tls = table.optional("tls");
        gateway.max_connections = table.or("max_connections", gateway.max_connections);
        gateway.header_timeout = table.or("header_timeout", gateway.header_timeout);
        gateway.idle_timeout = table.or("idle_timeout", gateway.idle_timeout);
        table.finish();
    }
    Some(gateway)
}

/// Reads `[admin]`, or takes every default without one.
pub(super) fn read_admin(table: Option<&mut Table<'_>>) -> Option<AdminConfig> {
    let mut admin = AdminConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
        tls: None,
        hosts: Vec::new(),
    };
    if let Some(table) = table {
        admin.listen = table.or("listen", admin.listen);
        admin.tls = table.optional("tls");
        admin.hosts = table.or("hosts", admin.hosts);
        if !admin.listen.ip().is_loopback() && admin.tls.is_none() {
            let help =
                "add `tls = { cert = \"cert.pem\", key = \"key.pem\" }`, or listen on 127.0.0.1";
            table.error(
                "listen",
                "beyond loopback the admin API needs TLS: its token would travel in the clear",
                Some(help.to_owned()),
            );
        }
        table.finish();
    }
    Some(admin)
}
