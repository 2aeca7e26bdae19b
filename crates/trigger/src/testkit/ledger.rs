//! The state of a recording hub: functions, offers, receipts and the script of its refusals.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use tripline_model::{
    Ending, Function, FunctionName, Identity, Invocation, InvocationState, Offer, Receipt,
    Rejected, RequestId, Timestamp, TriggerName,
};

use super::MemoryCursors;

/// One identity of one trigger.
type KnownKey = (Option<TriggerName>, String);

pub(super) struct Ledger {
    pub(super) functions: HashMap<FunctionName, Function>,
    pub(super) offered: Vec<Offer>,
    pub(super) accepted: Vec<(RequestId, Offer)>,
    pub(super) script: VecDeque<Rejected>,
    pub(super) refuse_all: Option<Rejected>,
    pub(super) endings: HashMap<RequestId, Ending>,
    pub(super) end_all: Option<Ending>,
    pub(super) is_stopping: bool,
    known: HashMap<KnownKey, (RequestId, Option<[u8; 32]>)>,
    cursors: Arc<MemoryCursors>,
}

// === impl Ledger ===

impl Ledger {
    pub(super) fn new(cursors: Arc<MemoryCursors>) -> Self {
        Self {
            functions: HashMap::new(),
            offered: Vec::new(),
            accepted: Vec::new(),
            script: VecDeque::new(),
            refuse_all: None,
            endings: HashMap::new(),
            end_all: None,
            is_stopping: false,
            known: HashMap::new(),
            cursors,
        }
    }

    /// The answer to an offer, as the dispatcher would give it: repeats first, then refusals, then acceptance.
    pub(super) fn answer(&mut self, offer: Offer) -> Result<Receipt, Rejected> {
        if !self.functions.contains_key(&offer.function) {
            return Err(Rejected::UnknownFunction(offer.function));
        }
        if let Err(error) = offer.event.check() {
            return Err(Rejected::Invalid(error.to_string()));
        }
        if let Some(rejected) = self.script.pop_front() {
            return Err(rejected);
        }
        if let Some(rejected) = self.refuse_all.clone() {
            return Err(rejected);
        }
        let receipt = self.receipt(&offer)?;
        if let Some(trigger) = &offer.trigger {
            self.cursors.write(trigger, offer.cursors.clone());
        }
        if let Receipt::New(id) = receipt {
            self.accepted.push((id, offer));
        }
        Ok(receipt)
    }

    fn receipt(&mut self, offer: &Offer) -> Result<Receipt, Rejected> {
        let id = self.next_id();
        match &offer.identity {
            Identity::Unique => {}
            Identity::Key { key, digest, .. } => {
                let key = (offer.trigger.clone(), key.clone());
                if let Some((known, first)) = self.known.get(&key) {
                    let differs = matches!((first, digest), (Some(a), Some(b)) if a != b);
                    return if differs {
                        Err(Rejected::KeyReused)
                    } else {
                        Ok(Receipt::Known(*known))
                    };
                }
                self.known.insert(key, (id, *digest));
            }
            Identity::Position { stream, position } => {
                let trigger = offer
                    .trigger
                    .as_ref()
                    .expect("positions belong to a trigger");
                if !self.cursors.pass(trigger, stream, *position) {
                    return Ok(Receipt::Past);
                }
            }
        }
        Ok(Receipt::New(id))
    }

    /// Ids are made of a number: the third one accepted is the same in every run of a test.
    fn next_id(&self) -> RequestId {
        let mut unique = [0; 10];
        unique[2..].copy_from_slice(&(self.accepted.len() as u64 + 1).to_be_bytes());
        RequestId::new(Timestamp::from_millis(1_700_000_000_000), unique)
    }

    /// The invocation of an accepted offer with its end, once the test has set how it ended.
    pub(super) fn ended(&self, request_id: RequestId) -> Option<Invocation> {
        let (_, offer) = self.accepted.iter().find(|(id, _)| *id == request_id)?;
        let ending = self.endings.get(&request_id).or(self.end_all.as_ref())?;
        let mut event = offer.event.clone();
        let data_len = event.data.take().as_ref().map_or(0, Bytes::len) as u64;
        Some(Invocation {
            request_id,
            function: offer.function.clone(),
            trigger: offer.trigger.clone(),
            state: InvocationState::Ended(ending.end),
            accepted_at: request_id.timestamp(),
            started_at: Some(request_id.timestamp()),
            ending: Some(ending.clone()),
            event,
            data_len,
        })
    }

    pub(super) fn is_accepted(&self, request_id: RequestId) -> bool {
        self.accepted.iter().any(|(id, _)| *id == request_id)
    }
}
