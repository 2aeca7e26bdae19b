//! What outlives the hub: the clock, the outside world's knowledge, the functions that run, the log that is read.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::aftermath::Classes;
use crate::between::Asked;
use crate::check::against;
use crate::clock::JumpyClock;
use crate::fate::Fate;
use crate::history::History;
use crate::ledger::Ledger;
use crate::mutant::Mutant;
use crate::removals::Removals;
use crate::script::Settings;
use crate::sources::log::Topic;

/// See the module.
pub(crate) struct World {
    pub(crate) fate: Arc<Fate>,
    pub(crate) clock: Arc<JumpyClock>,
    pub(crate) settings: Settings,
    pub(crate) mutant: Option<Mutant>,
    history: Mutex<History>,
    ledger: Mutex<Ledger>,
    topic: Mutex<Topic>,
    asked: Mutex<Asked>,
    removals: Mutex<Removals>,
    classes: Mutex<Classes>,
    disk_fails: bool,
}

impl World {
    /// `disk_fails` says that a sync fails at some time.
    pub(crate) fn new(
        fate: Arc<Fate>,
        settings: Settings,
        mutant: Option<Mutant>,
        disk_fails: bool,
    ) -> Self {
        Self {
            fate,
            clock: Arc::new(JumpyClock::new()),
            settings,
            mutant,
            history: Mutex::default(),
            ledger: Mutex::default(),
            topic: Mutex::default(),
            asked: Mutex::default(),
            removals: Mutex::default(),
            classes: Mutex::default(),
            disk_fails,
        }
    }

    pub(crate) fn history(&self) -> MutexGuard<'_, History> {
        self.history.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn topic(&self) -> MutexGuard<'_, Topic> {
        self.topic.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn removals(&self) -> MutexGuard<'_, Removals> {
        self.removals.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn classes(&self) -> MutexGuard<'_, Classes> {
        self.classes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether a hub may end because its disk failed.
    pub(crate) fn disk_fails(&self) -> bool {
        self.disk_fails
    }

    /// Notes something that must not be, by this rule of [`crate::check`].
    pub(crate) fn wrong(&self, rule: &str, what: &str) {
        let wrong = against(rule, what);
        self.fate.note(|| format!("WRONG: {wrong}"));
        self.history().wrong.push(wrong);
    }

    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }
}
