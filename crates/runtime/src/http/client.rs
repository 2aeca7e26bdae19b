//! The HTTP clients, which can do one thing: connect to an address that was checked, and send one request once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::Client;
use reqwest::dns::{Name, Resolve, Resolving};
use tower::util::MapFutureLayer;
use tripline_model::check_target;

use super::HttpTargetError;
use super::connecting;

/// The longest time from a name to a connection, TLS included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// A target that is silent this long is asked by the kernel whether it is still there.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(30);

/// Finds the addresses of a name.
#[async_trait]
pub(super) trait Lookup: Send + Sync + 'static {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// Asks the system.
pub(super) struct SystemLookup;

/// One client for targets on the internet, one for those that may be anywhere.
#[derive(Clone)]
pub(super) struct Clients {
    public: Client,
    anywhere: Client,
}

/// Hands out addresses that were checked; a name with a single one that is refused is refused as a whole.
struct Checked {
    lookup: Arc<dyn Lookup>,
    allow_private: bool,
}

// === impl Clients ===

impl Clients {
    pub(super) fn new(lookup: Arc<dyn Lookup>) -> Result<Self, HttpTargetError> {
        // One process, one TLS: it may be set already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let client = |allow_private| {
            let lookup = lookup.clone();
            client(Checked {
                lookup,
                allow_private,
            })
        };
        Ok(Self {
            public: client(false)?,
            anywhere: client(true)?,
        })
    }

    pub(super) fn of(&self, allow_private: bool) -> &Client {
        if allow_private {
            &self.anywhere
        } else {
            &self.public
        }
    }
}

fn client(resolver: Checked) -> Result<Client, HttpTargetError> {
    Client::builder()
        .user_agent(concat!("tripline/", env!("CARGO_PKG_VERSION")))
        .dns_resolver(resolver)
        .connect_timeout(CONNECT_TIMEOUT)
        .connector_layer(MapFutureLayer::new(connecting::noted))
        // Without a pool nothing is ever sent into a connection that the target has given up, and sent again.
        .pool_max_idle_per_host(0)
        .retry(reqwest::retry::never())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        // Other users of this library may have switched these on for the whole program.
        .no_gzip()
        .no_brotli()
        .no_zstd()
        .no_deflate()
        .tcp_keepalive(KEEPALIVE_INTERVAL)
        .tcp_keepalive_interval(KEEPALIVE_INTERVAL)
        .tcp_keepalive_retries(4)
        .build()
        .map_err(|err| HttpTargetError::Client(super::exchange::words(&err)))
}

#[async_trait]
impl Lookup for SystemLookup {
    async fn addresses(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let found = tokio::net::lookup_host((name, 0)).await?;
        Ok(found.map(|address| address.ip()).collect())
    }
}

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, allow_private) = (self.lookup.clone(), self.allow_private);
        Box::pin(async move {
            let found = lookup.addresses(name.as_str()).await?;
            if !allow_private {
                for address in &found {
                    check_target(*address)?;
                }
            }
            // The port is put in by the client.
            let found = found.into_iter().map(|ip| SocketAddr::new(ip, 0));
            Ok(Box::new(found) as Box<dyn Iterator<Item = SocketAddr> + Send>)
        })
    }
}
