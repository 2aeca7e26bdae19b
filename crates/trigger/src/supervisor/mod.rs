//! The owner of every trigger: one task each, kept until the hub stops.

mod keeper;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tripline_model::{Function, TriggerName};

use crate::context::{Ports, Seat};
use crate::status::Board;
use crate::{AnyTrigger, TriggerState, TriggerStatus};
use keeper::Keeper;

/// A trigger that is to be owned.
pub struct Supervised {
    /// Its name, unique in the hub.
    pub name: TriggerName,
    /// Its kind, for people.
    pub kind: String,
    /// The function it is for.
    pub function: Function,
    /// Whether it starts; otherwise it is paused until somebody resumes it.
    pub enabled: bool,
    /// The trigger itself.
    pub trigger: Box<dyn AnyTrigger>,
}

/// Owns every trigger: starts it, starts it again after a failure, pauses, resumes and stops it.
///
/// After a failed run it waits 1 s, then twice as long each time up to 60 s; 60 s of running without trouble make it
/// forget. A panic is a failure. Dropping the supervisor aborts every run.
pub struct Supervisor {
    triggers: Triggers,
    keepers: JoinSet<()>,
    stop: CancellationToken,
}

/// A handle to all triggers. Cheap to clone; the default one has none.
#[derive(Clone, Default)]
pub struct Triggers {
    posts: Arc<BTreeMap<TriggerName, Post>>,
}

/// No trigger has this name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no trigger `{0}`")]
pub struct UnknownTrigger(
    /// The name.
    pub TriggerName,
);

/// One trigger as the outside sees it.
struct Post {
    board: Arc<Board>,
    /// What somebody wants: `true` is paused. Every send is a wish, also one for the same again.
    paused: watch::Sender<bool>,
}

// === impl Supervisor ===

impl Supervisor {
    /// Takes the triggers and starts those that are enabled.
    pub fn start(triggers: Vec<Supervised>, ports: &Ports) -> Self {
        let stop = CancellationToken::new();
        let mut keepers = JoinSet::new();
        let mut posts = BTreeMap::new();
        for supervised in triggers {
            let Supervised {
                name,
                kind,
                function,
                enabled,
                trigger,
            } = supervised;
            let clock = Arc::clone(&ports.clock);
            let board = Board::new(name.clone(), kind, function.name.clone(), clock);
            let board = Arc::new(board);
            if !enabled {
                board.enter(TriggerState::Paused);
            }
            let paused = watch::Sender::new(!enabled);
            let keeper = Keeper {
                seat: Arc::new(Seat::new(
                    name.clone(),
                    function,
                    ports.clone(),
                    Arc::clone(&board),
                )),
                trigger: Arc::from(trigger),
                paused: paused.subscribe(),
                stop: stop.clone(),
                clock: Arc::clone(&ports.clock),
            };
            keepers.spawn(keeper.keep());
            posts.insert(name, Post { board, paused });
        }
        let posts = Arc::new(posts);
        Self {
            triggers: Triggers { posts },
            keepers,
            stop,
        }
    }

    /// A handle to the triggers; it outlives the supervisor.
    pub fn triggers(&self) -> Triggers {
        self.triggers.clone()
    }

    /// Asks every trigger to end and waits for at most `within`; then cuts the rest. Returns the names of those that
    /// were cut.
    pub async fn stop(mut self, within: Duration) -> Vec<TriggerName> {
        self.stop.cancel();
        let ended = async { while self.keepers.join_next().await.is_some() {} };
        if timeout(within, ended).await.is_ok() {
            return Vec::new();
        }
        self.keepers.abort_all();
        let mut cut = Vec::new();
        for (name, post) in self.triggers.posts.iter() {
            if post.board.status().state != TriggerState::Stopped {
                post.board.enter(TriggerState::Stopped);
                tracing::warn!(trigger = name.as_str(), "trigger did not end in time");
                cut.push(name.clone());
            }
        }
        cut
    }
}

// === impl Triggers ===

impl Triggers {
    /// How every trigger is doing, by name.
    pub fn list(&self) -> Vec<TriggerStatus> {
        self.posts
            .values()
            .map(|post| post.board.status())
            .collect()
    }

    /// How one trigger is doing.
    pub fn get(&self, name: &TriggerName) -> Option<TriggerStatus> {
        self.posts.get(name).map(|post| post.board.status())
    }

    /// Pauses a trigger until it is resumed or the hub is started again. Returns its status once nothing of it runs
    /// any more, which takes some 30 s at most (10 s each for its run, its tasks and its notes), or once somebody resumes
    /// it meanwhile.
    ///
    /// # Errors
    /// There is no such trigger.
    pub async fn pause(&self, name: &TriggerName) -> Result<TriggerStatus, UnknownTrigger> {
        let post = self.post(name)?;
        post.paused.send_replace(true);
        let at_rest =
            |state: &TriggerState| matches!(state, TriggerState::Paused | TriggerState::Stopped);
        let (mut state, mut wish) = (post.board.watch(), post.paused.subscribe());
        // Both senders live in the post, so the waits cannot fail.
        tokio::select! {
            _ = state.wait_for(at_rest) => {}
            _ = wish.wait_for(|paused| !paused) => {}
        }
        Ok(post.board.status())
    }

    /// Starts a paused trigger, or one that waits to be started again. One that runs is left alone.
    ///
    /// # Errors
    /// There is no such trigger.
    pub async fn resume(&self, name: &TriggerName) -> Result<TriggerStatus, UnknownTrigger> {
        let post = self.post(name)?;
        post.paused.send_replace(false);
        let (mut state, mut wish) = (post.board.watch(), post.paused.subscribe());
        tokio::select! {
            _ = state.wait_for(|state| *state != TriggerState::Paused) => {}
            _ = wish.wait_for(|paused| *paused) => {}
        }
        Ok(post.board.status())
    }

    fn post(&self, name: &TriggerName) -> Result<&Post, UnknownTrigger> {
        let post = self.posts.get(name);
        post.ok_or_else(|| UnknownTrigger(name.clone()))
    }
}

#[cfg(test)]
mod tests;
