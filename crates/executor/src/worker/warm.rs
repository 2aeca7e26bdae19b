//! One warm instance: its process, its Runtime API, and the task that keeps both.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::{Notify, OwnedSemaphorePermit, oneshot};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::api::{self, Api, Endpoint};
use super::environment;
use super::event_slot::EventSlot;
use super::pool::{Alive, Pool};
use crate::instance::{Remains, StartError};
use crate::process::{Memory, Reclaimed, SpawnRequest, Spawned, Tap, write_credentials};
use crate::protocol::Credentials;

/// The right to have an instance that is not idle.
pub(super) type Slot = OwnedSemaphorePermit;

/// One warm instance. Dropping it ends it.
pub(super) struct Warm {
    /// Unique on this machine.
    pub(super) name: String,
    pub(super) event_slot: Arc<EventSlot>,
    pub(super) tap: Tap,
    /// Of its whole life.
    pub(super) memory: Memory,
    /// When it must have asked for its first event.
    pub(super) init_deadline: Instant,
    pub(super) launched: Instant,
    scratch: PathBuf,
    /// Asks it to end by itself.
    stop_requested: Arc<Notify>,
    kill: CancellationToken,
    end: Option<oneshot::Sender<End>>,
}

/// How an instance was over, and what is given back when nothing of it is left.
pub(super) struct Ended {
    pub(super) reclaimed: Reclaimed,
    hold: Hold,
}

/// Counts the instance for as long as something of it lives.
struct Hold {
    slot: Option<Slot>,
    alive: Option<Alive>,
}

/// Who ends it: a run that wants to know, or nobody in particular.
struct End {
    slot: Option<Slot>,
    reply: Option<oneshot::Sender<Ended>>,
}

// === impl Warm ===

impl Warm {
    /// Starts an instance of the pool's function. `credentials` are those of the run that needs it, if one does.
    pub(super) async fn launch(
        pool: &Arc<Pool>,
        credentials: Option<&Credentials>,
    ) -> Result<Self, StartError> {
        let alive = Alive::new(pool);
        let name = Uuid::now_v7().to_string();
        let bound = Endpoint::bind(&pool.spec, &name).await;
        let (listener, endpoint) = bound.map_err(StartError::Spawn)?;
        let request = SpawnRequest {
            spec: pool.spec.clone(),
            name: name.clone(),
            variables: environment::variables(&pool.spec, &pool.worker, &endpoint, credentials),
            credentials: credentials.cloned(),
            has_role: environment::has_role(&pool.worker, credentials),
            stdin: None,
            keep_stdout: 0,
        };
        let spawned = pool.launcher.spawn(request).await?;
        let event_slot = Arc::new(EventSlot::new(credentials.cloned()));
        let closing = CancellationToken::new();
        let api = Arc::new(Api {
            event_slot: event_slot.clone(),
            endpoint,
        });
        pool.tasks.spawn(api::serve(listener, api, closing.clone()));
        let stop_requested = Arc::new(Notify::new());
        let (end, ending) = oneshot::channel();
        let kill = CancellationToken::new();
        let launched = Instant::now();
        let (tap, memory) = (spawned.tap().clone(), spawned.memory());
        let scratch = spawned.scratch().to_owned();
        let keeper = Keeper {
            name: name.clone(),
            spawned,
            event_slot: event_slot.clone(),
            pool: Arc::downgrade(pool),
            alive,
            stop_requested: stop_requested.clone(),
            kill: kill.clone(),
            _closing: closing.drop_guard(),
        };
        pool.tasks.spawn(keeper.keep(ending));
        Ok(Self {
            name,
            event_slot,
            tap,
            memory,
            init_deadline: launched + Duration::from_millis(pool.worker.init_timeout_ms),
            launched,
            scratch,
            stop_requested,
            kill,
            end: Some(end),
        })
    }

    /// Hands it credentials of the function's role: at its endpoint, and in its file.
    pub(super) fn set_credentials(&self, credentials: &Credentials) {
        if self.event_slot.credentials().as_ref() == Some(credentials) {
            return;
        }
        self.event_slot.set_credentials(credentials);
        if let Err(error) = write_credentials(&self.scratch, credentials) {
            tracing::warn!(%error, "new credentials could not be written into an instance's file");
        }
    }

    /// Sends SIGTERM.
    pub(super) fn request_stop(&self) {
        self.stop_requested.notify_one();
    }

    pub(super) fn kill(&self) {
        self.kill.cancel();
    }

    /// Ends all of it. The slot is given back when nothing of it is left. `None` if its keeper is gone, and with it
    /// the process.
    pub(super) async fn end(mut self, slot: Slot) -> Option<Ended> {
        let (reply, ended) = oneshot::channel();
        let end = End {
            slot: Some(slot),
            reply: Some(reply),
        };
        self.end.take()?.send(end).ok()?;
        ended.await.ok()
    }

    /// The same in the background.
    pub(super) fn discard(mut self, slot: Option<Slot>) {
        if let Some(end) = self.end.take() {
            let _ = end.send(End { slot, reply: None });
        }
    }
}

// === impl Ended ===

impl Ended {
    /// What is left, if anything; the instance counts until that is gone.
    pub(super) fn remains(&mut self) -> Option<Box<dyn Remains>> {
        let remains = self.reclaimed.remains.take()?;
        let hold = Hold {
            slot: self.hold.slot.take(),
            alive: self.hold.alive.take(),
        };
        Some(Box::new(Counted {
            remains,
            hold: Some(hold),
        }))
    }
}

struct Counted {
    remains: Box<dyn Remains>,
    hold: Option<Hold>,
}

#[async_trait]
impl Remains for Counted {
    async fn gone(&mut self) {
        self.remains.gone().await;
        self.hold = None;
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        // The slot first: who hears that the instance is gone may want it.
        self.slot = None;
        self.alive = None;
    }
}

/// Owns the process of an instance.
struct Keeper {
    name: String,
    spawned: Spawned,
    event_slot: Arc<EventSlot>,
    pool: Weak<Pool>,
    alive: Alive,
    stop_requested: Arc<Notify>,
    kill: CancellationToken,
    /// Closes the Runtime API at the end.
    _closing: tokio_util::sync::DropGuard,
}

// === impl Keeper ===

impl Keeper {
    async fn keep(mut self, mut ending: oneshot::Receiver<End>) {
        let (mut exited, mut killed) = (false, false);
        let end = loop {
            tokio::select! {
                end = &mut ending => break end.ok(),
                () = self.kill.cancelled(), if !killed => {
                    killed = true;
                    self.spawned.kill();
                }
                status = self.spawned.wait(), if !exited => {
                    exited = true;
                    self.event_slot.exited(status);
                    if let Some(pool) = self.pool.upgrade() {
                        pool.exited(&self.name, status);
                    }
                }
                () = self.stop_requested.notified() => self.spawned.request_stop(),
            }
        };
        let (slot, reply) = end.map_or((None, None), |end| (end.slot, end.reply));
        let reclaimed = self.spawned.reclaim().await;
        let hold = Hold {
            slot,
            alive: Some(self.alive),
        };
        let ended = Ended { reclaimed, hold };
        let unheard = match reply {
            Some(reply) => reply.send(ended).err(),
            None => Some(ended),
        };
        if let Some(mut remains) = unheard.and_then(|mut ended| ended.remains()) {
            remains.gone().await;
        }
    }
}
