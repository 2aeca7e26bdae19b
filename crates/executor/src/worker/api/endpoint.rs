//! Where the Runtime API of an instance listens, and what it reports of the function.

use std::io;
use std::net::Ipv4Addr;

use tokio::net::TcpListener;

use crate::key::Key;
use crate::protocol::FunctionSpec;

/// What is reported where the memory is unknown.
const DEFAULT_MEMORY_MIB: u64 = 128;

/// Where the Runtime API of an instance listens, and what it reports of the function.
pub(in crate::worker) struct Endpoint {
    pub(in crate::worker) port: u16,
    /// `127.0.0.1:PORT`.
    pub(in crate::worker) authority: String,
    /// The instance's name.
    pub(in crate::worker) instance: String,
    pub(in crate::worker) function: String,
    /// What the function may use, in MiB; the machine's where nothing bounds it.
    pub(in crate::worker) memory_mib: u64,
    /// Whoever knows it gets the credentials of the function's role.
    pub(in crate::worker) credentials_token: Key,
}

// === impl Endpoint ===

impl Endpoint {
    /// Takes a free port of the loopback address.
    pub(in crate::worker) async fn bind(
        spec: &FunctionSpec,
        instance: &str,
    ) -> io::Result<(TcpListener, Self)> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let port = listener.local_addr()?.port();
        let limit = spec.limits.memory_bytes.map(|bytes| bytes >> 20);
        let endpoint = Self {
            port,
            authority: format!("127.0.0.1:{port}"),
            instance: instance.to_owned(),
            function: spec.name.clone(),
            memory_mib: limit
                .or_else(machine_memory_mib)
                .unwrap_or(DEFAULT_MEMORY_MIB),
            credentials_token: Key::random()?,
        };
        Ok((listener, endpoint))
    }

    /// Whether a `Host` header names this endpoint.
    pub(super) fn has_name(&self, host: &[u8]) -> bool {
        let names: [&[u8]; 2] = [b"127.0.0.1:", b"localhost:"];
        let Some(port) = names.iter().find_map(|name| host.strip_prefix(*name)) else {
            return false;
        };
        let port = std::str::from_utf8(port).ok();
        port.and_then(|port| port.parse().ok()) == Some(self.port)
    }
}

fn machine_memory_mib() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib >> 10)
}
