//! The kinds that a hub knows.

use std::collections::BTreeMap;

use tripline_config::Table;
use tripline_model::TriggerName;

use crate::{AnyTrigger, TriggerKind};

/// The kinds that a hub knows, by name. The binary makes one: its only list of kinds.
#[derive(Default)]
pub struct Registry {
    kinds: BTreeMap<&'static str, Box<dyn AnyKind>>,
}

/// A kind whose type of trigger is forgotten.
trait AnyKind: Send + Sync {
    fn build(&self, name: &TriggerName, table: &mut Table<'_>) -> Option<Box<dyn AnyTrigger>>;
}

impl<K: TriggerKind> AnyKind for K {
    fn build(&self, name: &TriggerName, table: &mut Table<'_>) -> Option<Box<dyn AnyTrigger>> {
        let trigger = TriggerKind::build(self, name, table)?;
        Some(Box::new(trigger))
    }
}

// === impl Registry ===

impl Registry {
    /// A registry that knows no kind.
    pub fn new() -> Self {
        Self::default()
    }

    /// The registry with one kind more.
    ///
    /// # Panics
    /// Another kind has the name: the list in the binary is wrong.
    #[must_use]
    pub fn with<K: TriggerKind>(mut self, kind: K) -> Self {
        let before = self.kinds.insert(K::NAME, Box::new(kind));
        assert!(before.is_none(), "two kinds are named `{}`", K::NAME);
        self
    }

    /// The names of the kinds, sorted.
    pub fn names(&self) -> Vec<&'static str> {
        self.kinds.keys().copied().collect()
    }

    /// Lets `kind` read the table of the trigger `name`. `None` if something is wrong with the table (recorded
    /// there) or if there is no such kind (reported by the caller, which knows where the kind is written).
    pub fn build(
        &self,
        kind: &str,
        name: &TriggerName,
        table: &mut Table<'_>,
    ) -> Option<Box<dyn AnyTrigger>> {
        self.kinds.get(kind)?.build(name, table)
    }
}

#[cfg(test)]
mod tests;
