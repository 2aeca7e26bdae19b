//! What the hub may forget: only what was there before a removal, had ended, and was old enough.

use std::collections::{BTreeMap, BTreeSet};

use tripline_model::{Invocation, RequestId};

/// See the module.
#[derive(Default)]
pub(crate) struct Removals {
    /// All that may be missing, as it was when a removal of it began.
    may_be_gone: BTreeMap<RequestId, Invocation>,
    /// What the removal under way is for.
    under_way: BTreeSet<RequestId>,
}

impl Removals {
    /// A removal of these begins.
    pub(crate) fn begin(&mut self, due: Vec<Invocation>) {
        self.under_way = due.iter().map(|one| one.request_id).collect();
        let due = due.into_iter().map(|one| (one.request_id, one));
        self.may_be_gone.extend(due);
    }

    /// It is through, or was given up.
    pub(crate) fn end(&mut self) {
        self.under_way.clear();
    }

    /// What may be missing from these records, and is, as it was.
    pub(crate) fn gone(&self, records: &[Invocation]) -> Vec<Invocation> {
        let there: BTreeSet<_> = records.iter().map(|one| one.request_id).collect();
        let gone = self.may_be_gone.iter();
        let gone = gone.filter(|(id, _)| !there.contains(id));
        gone.map(|(_, one)| one.clone()).collect()
    }

    /// The same after a crash, and how far a removal had come that it met.
    pub(crate) fn look(
        &mut self,
        records: &[Invocation],
    ) -> (BTreeSet<RequestId>, Option<&'static str>) {
        let gone: BTreeSet<_> = self
            .gone(records)
            .iter()
            .map(|one| one.request_id)
            .collect();
        let under_way = std::mem::take(&mut self.under_way);
        let class = under_way.first().map(|id| match gone.contains(id) {
            true => "removal kept, not told",
            false => "removal asked, not kept",
        });
        (gone, class)
    }
}
