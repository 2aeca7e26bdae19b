//! A TCP proxy between a client and a server that simulates a bad network.

mod pump;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use pump::carry;

/// Connections at a time; more wait until one ends.
const MAX_CONNECTIONS: usize = 1_024;

/// What the network between client and server does, for open connections and new ones alike.
///
/// Bytes that are held up are not lost: as with TCP, they arrive once the network lets them through, unless their
/// connection has ended by then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Network {
    /// Bytes pass as they come.
    Pass,
    /// Nothing passes either way, and nobody is notified: connections look open and stay silent.
    Blackhole,
    /// Nothing passes in that direction; the other one works.
    OneWay {
        /// Where bytes get stuck.
        held: Direction,
    },
    /// Bytes pass slowly, on each connection and in each direction.
    Slow {
        /// Bytes a second, at least 1.
        bytes_per_second: u32,
        /// Added to each piece of at most 16 KiB.
        latency: Duration,
    },
    /// A new connection is reset at once, as by a firewall or a port where nobody listens; open ones go on.
    Refuse,
}

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

/// How open connections are ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// Both sides see the end of the stream.
    Cut,
    /// Both sides see "connection reset by peer".
    Reset,
}

/// A TCP proxy on a thread of its own, so that a test that blocks does not hold it up. Dropping it closes what is
/// open and frees the port.
///
/// Give its [`address`](ChaosProxy::address) to the client instead of the server's. A server that advertises its address
/// to clients, such as a Kafka broker, must advertise that one.
pub struct ChaosProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

/// What the proxy and its connections share.
struct Shared {
    server: SocketAddr,
    network: watch::Sender<Network>,
    /// The number of orders to end connections so far, and how the last one ends them.
    ends: watch::Sender<(u64, End)>,
    open: AtomicUsize,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

// === impl ChaosProxy ===

impl ChaosProxy {
    /// Starts a proxy for `server`, on a loopback port that the system picks.
    ///
    /// # Panics
    /// There is no free port.
    pub fn start(server: SocketAddr) -> Self {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Self::start_at(any, server).expect("the loopback address has a free port")
    }

    /// The same on an address that the test picks, for a server that advertises it already.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub fn start_at(address: SocketAddr, server: SocketAddr) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            server,
            network: watch::Sender::new(Network::Pass),
            ends: watch::Sender::new((0, End::Cut)),
            open: AtomicUsize::new(0),
            to_server: AtomicU64::new(0),
            to_client: AtomicU64::new(0),
        });
        let stop = CancellationToken::new();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let (serving, stopped) = (Arc::clone(&shared), stop.clone());
        let thread = std::thread::Builder::new().name("chaos-proxy".to_owned());
        let thread = thread.spawn(move || {
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).expect("the listener is sound");
                tokio::select! {
                    () = accept_all(&listener, &serving) => {}
                    () = stopped.cancelled() => {}
                }
            });
        })?;
        Ok(Self {
            address,
            shared,
            stop,
            thread: Some(thread),
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes what the network does, from now on.
    pub fn set(&self, network: Network) {
        self.shared.network.send_replace(network);
    }

    /// Closes every open connection in an orderly way; new ones are accepted.
    pub fn cut(&self) {
        self.end(End::Cut);
    }

    /// Resets every open connection; new ones are accepted.
    pub fn reset(&self) {
        self.end(End::Reset);
    }

    /// Connections that are open.
    pub fn connections(&self) -> usize {
        self.shared.open.load(Ordering::Acquire)
    }

    /// Bytes that arrived in that direction so far, over all connections.
    pub fn passed(&self, direction: Direction) -> u64 {
        self.shared.passed(direction).load(Ordering::Acquire)
    }

    fn end(&self, how: End) {
        self.shared
            .ends
            .send_modify(|(count, end)| (*count, *end) = (*count + 1, how));
    }
}

impl Drop for ChaosProxy {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed.
            drop(thread.join());
        }
    }
}

// === impl Shared ===

impl Shared {
    fn passed(&self, direction: Direction) -> &AtomicU64 {
        match direction {
            Direction::ToServer => &self.to_server,
            Direction::ToClient => &self.to_client,
        }
    }
}

async fn accept_all(listener: &TcpListener, shared: &Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= MAX_CONNECTIONS {
            connections.join_next().await;
        }
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    connections.spawn(connect(client, Arc::clone(shared)));
                }
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connect(client: TcpStream, shared: Arc<Shared>) {
    // Subscribed before it connects, so that an order to end connections applies to this one, too.
    let mut ends = shared.ends.subscribe();
    let mut network = shared.network.subscribe();
    if *network.borrow_and_update() == Network::Refuse {
        reset(&client);
        return;
    }
    tokio::select! {
        reachable = network.wait_for(|network| *network != Network::Blackhole) => drop(reachable),
        _ = ends.changed() => {
            if ends.borrow().1 == End::Reset {
                reset(&client);
            }
            return;
        }
    }
    match TcpStream::connect(shared.server).await {
        Ok(server) => {
            shared.open.fetch_add(1, Ordering::AcqRel);
            carry(client, server, &shared, ends).await;
            shared.open.fetch_sub(1, Ordering::AcqRel);
        }
        // The server does not accept: the client gets a reset, as without the proxy, only a little later.
        Err(_) => reset(&client),
    }
}

/// Makes the end of a connection a reset.
fn reset(stream: &TcpStream) {
    // It fails for a connection that is gone already.
    drop(stream.set_zero_linger());
}

#[cfg(test)]
mod tests;
