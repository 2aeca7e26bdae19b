//! One connection of the proxy: bytes both ways, as the network lets them.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use super::{Direction, End, Network, Shared, reset};

/// Bytes carried in one piece.
const PIECE: usize = 16 << 10;

/// Why a direction is over.
enum Over {
    /// The sender closed it, and so did the proxy towards the receiver.
    Closed,
    /// The connection cannot be used any more.
    Broken,
}

/// Carries bytes until both directions are closed, one breaks, or the proxy is to end connections.
pub(super) async fn carry(
    mut client: TcpStream,
    mut server: TcpStream,
    shared: &Shared,
    mut ends: watch::Receiver<(u64, End)>,
) {
    // Small messages are to go at once.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.split();
    let (from_server, to_server) = server.split();
    let both = async {
        let there = pump(from_client, to_server, Direction::ToServer, shared);
        let back = pump(from_server, to_client, Direction::ToClient, shared);
        tokio::pin!(there, back);
        // A direction that breaks ends the other one; one that is closed does not.
        tokio::select! {
            over = &mut there => match over {
                Over::Closed => back.await,
                Over::Broken => Over::Broken,
            },
            over = &mut back => match over {
                Over::Closed => there.await,
                Over::Broken => Over::Broken,
            },
        }
    };
    let is_reset = tokio::select! {
        over = both => matches!(over, Over::Broken),
        _ = ends.changed() => ends.borrow().1 == End::Reset,
    };
    if is_reset {
        reset(&client);
        reset(&server);
    }
}

async fn pump(
    mut from: ReadHalf<'_>,
    mut to: WriteHalf<'_>,
    direction: Direction,
    shared: &Shared,
) -> Over {
    let mut network = shared.network.subscribe();
    let mut piece = vec![0; PIECE];
    loop {
        passage(&mut network, direction).await;
        let Ok(length) = from.read(&mut piece).await else {
            return Over::Broken;
        };
        // The network may have changed while nothing was sent. The end of the stream is held up like bytes.
        let delay = passage(&mut network, direction).await.delay(length);
        if length == 0 {
            return match to.shutdown().await {
                Ok(()) => Over::Closed,
                Err(_) => Over::Broken,
            };
        }
        sleep(delay).await;
        if to.write_all(&piece[..length]).await.is_err() {
            return Over::Broken;
        }
        shared
            .passed(direction)
            .fetch_add(length as u64, Ordering::AcqRel);
    }
}

/// Waits until the network lets bytes pass in that direction, and gives it.
async fn passage(network: &mut watch::Receiver<Network>, direction: Direction) -> Network {
    let passes = |network: &Network| match network {
        Network::Blackhole => false,
        Network::OneWay { held } => *held != direction,
        Network::Pass | Network::Slow { .. } | Network::Refuse => true,
    };
    let found = network.wait_for(passes).await;
    *found.expect("the proxy outlives its connections")
}

// === impl Network ===

impl Network {
    /// How long a piece of `length` bytes takes.
    fn delay(self, length: usize) -> Duration {
        match self {
            Self::Slow {
                bytes_per_second,
                latency,
            } => latency + Duration::from_secs(length as u64) / bytes_per_second.max(1),
            _ => Duration::ZERO,
        }
    }
}
