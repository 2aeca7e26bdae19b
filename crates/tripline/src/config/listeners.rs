//! `[gateway]` and `[admin]`: the two addresses the hub listens on, and what it puts up with there.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tripline_api::is_host;
use tripline_config::{ByteSize, FromToml, Table, Value};
use tripline_listener::TlsFiles;

/// The largest body there can be, in bytes: memory for bodies must hold one.
const LARGEST_BODY: u64 = 6 << 20;

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
    /// What callers may take; by default 1,024 connections and `128MiB` of bodies.
    pub bounds: ListenerConfig,
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
    /// What callers may take; by default 256 connections and `64MiB` of bodies.
    pub bounds: ListenerConfig,
}

/// What the callers of one listener may take.
#[derive(Debug, Clone)]
pub struct ListenerConfig {
    /// Connections at the same time. `max_connections`.
    pub max_connections: u32,
    /// Connections of one address at the same time. `max_connections_per_address`, default a quarter of
    /// `max_connections`; on loopback none, for a proxy there stands for many callers.
    pub max_connections_per_address: u32,
    /// Time for a request's header to arrive. `header_timeout`, default `10s`.
    pub header_timeout: Duration,
    /// Time a connection may stay without a request, or without taking an answer. `idle_timeout`, default `75s`.
    pub idle_timeout: Duration,
    /// Bytes of bodies on their way to the disk at the same time. `max_body_memory`.
    pub max_body_memory: u64,
}

impl TlsConfig {
    /// The files, of a configuration in that folder.
    pub(crate) fn files(&self, folder: &Path) -> TlsFiles {
        TlsFiles {
            cert: folder.join(&self.cert),
            key: folder.join(&self.key),
        }
    }
}

impl FromToml for TlsConfig {
    const EXPECTED: &'static str = "a certificate and its key";
    const EXAMPLE: &'static str = "{ cert = \"tls/cert.pem\", key = \"tls/key.pem\" }";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        if !value.is_table() {
            return Err(format!("this is {}", value.kind_name()));
        }
        let files = value.section(|table| {
            let cert = table.required_such_as("cert", "\"tls/cert.pem\"");
            let key = table.required_such_as("key", "\"tls/key.pem\"");
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
    let mut listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    let mut bounds = ListenerConfig::new(1_024, 128 << 20);
    let mut tls = None;
    if let Some(table) = table {
        listen = table.or("listen", listen);
        tls = table.optional("tls");
        bounds.read(table, listen);
        table.finish();
    }
    Some(GatewayConfig {
        listen,
        tls,
        bounds,
    })
}

/// Reads `[admin]`, or takes every default without one.
pub(super) fn read_admin(table: Option<&mut Table<'_>>) -> Option<AdminConfig> {
    let mut admin = AdminConfig {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8081)),
        tls: None,
        hosts: Vec::new(),
        bounds: ListenerConfig::new(256, 64 << 20),
    };
    if let Some(table) = table {
        admin.listen = table.or("listen", admin.listen);
        admin.tls = table.optional("tls");
        admin.hosts = table.or("hosts", admin.hosts);
        if let Some(host) = admin.hosts.iter().find(|host| !is_host(host)) {
            let message = format!(
                "`{}` is neither a host's name nor an address",
                host.escape_debug()
            );
            let help =
                "write it without a user, port or scheme: hosts = [\"hub.example.com\"]".to_owned();
            table.error("hosts", message, Some(help));
        }
        admin.bounds.read(table, admin.listen);
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

/// Whether only one of two listeners could be bound.
pub(super) fn exclude_each_other(one: SocketAddr, other: SocketAddr) -> bool {
    let covers = |one: SocketAddr, other: SocketAddr| {
        one.ip().is_unspecified() && (one.is_ipv6() || other.is_ipv4())
    };
    let picked_by_the_system = one.port() == 0;
    let overlap = one.ip() == other.ip() || covers(one, other) || covers(other, one);
    one.port() == other.port() && !picked_by_the_system && overlap
}

// === impl ListenerConfig ===

impl ListenerConfig {
    fn new(max_connections: u32, max_body_memory: u64) -> Self {
        Self {
            max_connections,
            max_connections_per_address: u32::MAX,
            header_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            max_body_memory,
        }
    }

    fn read(&mut self, table: &mut Table<'_>, listen: SocketAddr) {
        self.max_connections = table.or("max_connections", self.max_connections);
        let of_one = match listen.ip().is_loopback() {
            true => u32::MAX,
            false => self.max_connections.div_ceil(4),
        };
        self.max_connections_per_address = table.or("max_connections_per_address", of_one);
        self.header_timeout = table.or("header_timeout", self.header_timeout);
        self.idle_timeout = table.or("idle_timeout", self.idle_timeout);
        self.max_body_memory = table
            .or("max_body_memory", ByteSize(self.max_body_memory))
            .0;
        for (key, count) in [
            ("max_connections", self.max_connections),
            (
                "max_connections_per_address",
                self.max_connections_per_address,
            ),
        ] {
            if count == 0 {
                table.error(key, "nobody could connect: write 1 or more", None);
            }
        }
        for (key, time) in [
            ("header_timeout", self.header_timeout),
            ("idle_timeout", self.idle_timeout),
        ] {
            if time.is_zero() {
                table.error(key, "no request can be there within no time", None);
            }
        }
        if self.max_body_memory < LARGEST_BODY {
            let help = format!("write {} or more", ByteSize(LARGEST_BODY));
            let message = "the largest body would never be taken";
            table.error("max_body_memory", message, Some(help));
        }
    }
}
