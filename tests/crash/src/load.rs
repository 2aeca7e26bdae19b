//! Clients of every kind, who go on whether the hub lives or not, and somebody who looks on.

mod calls;
mod looks;
mod objects;
mod positions;
mod records;

use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(crate) use self::calls::Caller;
use crate::history::History;
use crate::world::World;

/// Callers at the same time. Together with their pace: more than the limit lets through.
const CALLERS: usize = 4;

/// Where callers have to show a token.
const GUARDED: &str = "/guarded/";

/// All clients of a campaign.
pub(crate) struct Load {
    stop: CancellationToken,
    clients: JoinSet<()>,
}

// === impl Load ===

impl Load {
    /// Every mark begins with `prefix`.
    pub(crate) fn start(world: &World, history: &History, prefix: &'static str) -> Self {
        let stop = CancellationToken::new();
        let mut clients = JoinSet::new();
        for caller in 0..CALLERS {
            let route = if caller == 0 { GUARDED } else { "/call/" };
            let path = format!("{route}{prefix}{caller}");
            let caller = Caller::new(&world.gateway);
            clients.spawn(caller.go_on(path, history.clone(), stop.clone()));
        }
        if let Some(broker) = &world.broker {
            let producer = records::Producer::new(broker, &world.name, prefix);
            clients.spawn(producer.produce(history.clone(), stop.clone()));
            let onlooker = positions::Onlooker::new(broker, &world.name);
            clients.spawn(onlooker.look(history.clone(), stop.clone()));
        }
        if let Some(store) = &world.store {
            let writer = objects::Writer {
                client: store.client.clone(),
                bucket: world.name.clone(),
                prefix,
            };
            clients.spawn(writer.put(history.clone(), stop.clone()));
        }
        let data = world.hub.path("data");
        clients.spawn(looks::look(data, history.clone(), stop.clone()));
        Self { stop, clients }
    }

    /// Waits until every client has heard all that it will.
    pub(crate) async fn stop(mut self) {
        self.stop.cancel();
        while let Some(done) = self.clients.join_next().await {
            done.expect("no client fails");
        }
    }
}

/// Ticks at a pace until it is told to stop.
struct Pace {
    interval: tokio::time::Interval,
    stop: CancellationToken,
}

// === impl Pace ===

impl Pace {
    fn new(every: Duration, stop: CancellationToken) -> Self {
        let mut interval = tokio::time::interval(every);
        interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        Self { interval, stop }
    }

    /// False when it is time to stop.
    async fn next(&mut self) -> bool {
        tokio::select! {
            biased;
            () = self.stop.cancelled() => false,
            _ = self.interval.tick() => true,
        }
    }
}

/// A client that goes to its server directly, and does not wait for ever.
fn client() -> reqwest::Client {
    reqwest::Client::builder()
        .no_proxy()
        .timeout(Duration::from_secs(20))
        .build()
        .expect("a client can be made")
}
