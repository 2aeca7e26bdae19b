//! Helpers of the tests.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tripline_journal::{Accepted, Journal, JournalOptions, NewInvocation, SqliteJournal};
use tripline_model::{
    Event, FunctionName, Identity, ManualClock, Offer, RequestId, Timestamp, TriggerName,
};
use tripline_skipped::full;

/// When the tests take place.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_555_058_243);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);

/// Some seconds after [`NOW`].
pub(crate) fn at(seconds: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(seconds))
}

/// Every length to truncate a file to within its last 64 KiB, at full size; else none.
pub(crate) fn every_cut(length: usize) -> impl Iterator<Item = usize> {
    full(length, length.saturating_sub(64 << 10))..length
}

/// An id made at `at`, larger than all made before for that time.
pub(crate) fn id_at(at: Timestamp) -> RequestId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut unique = [0; 10];
    unique[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    RequestId::new(at, unique)
}

pub(crate) fn function(name: &str) -> FunctionName {
    FunctionName::new(name).unwrap()
}

pub(crate) fn trigger() -> TriggerName {
    TriggerName::new("door").unwrap()
}

pub(crate) fn event(data: &'static [u8]) -> Event {
    Event {
        id: "1".to_owned(),
        source: "/test".to_owned(),
        kind: "test.v1".to_owned(),
        subject: Some("it".to_owned()),
        time: NOW,
        content_type: Some("text/plain".to_owned()),
        data: Some(Bytes::from_static(data)),
        extensions: [("traceid".to_owned(), "ä\"1".to_owned())].into(),
    }
}

pub(crate) fn offer(of: &str, identity: Identity) -> Offer {
    Offer {
        function: function(of),
        trigger: Some(trigger()),
        event: event(b"data"),
        identity,
        cursors: Vec::new(),
    }
}

pub(crate) fn key(key: &str, window: Duration, digest: Option<[u8; 32]>) -> Identity {
    Identity::Key {
        key: key.to_owned(),
        window,
        digest,
    }
}

pub(crate) fn position(position: u64) -> Identity {
    Identity::Position {
        stream: "orders/0".to_owned(),
        position,
    }
}

pub(crate) fn new_at(at: Timestamp, offer: Offer) -> NewInvocation {
    NewInvocation {
        request_id: id_at(at),
        accepted_at: at,
        offer: Arc::new(offer),
    }
}

/// Accepts one new event.
pub(crate) async fn accept(journal: &dyn Journal, of: &str, at: Timestamp) -> RequestId {
    let new = new_at(at, offer(of, Identity::Unique));
    let id = new.request_id;
    assert_eq!(journal.accept(vec![new]).await, Ok(vec![Accepted::New(id)]));
    id
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

/// A journal with a small reserve.
pub(crate) fn open(dir: &Path) -> SqliteJournal {
    let options = JournalOptions {
        reserve_bytes: 1 << 20,
        ..JournalOptions::default()
    };
    SqliteJournal::open(dir, options, clock()).unwrap()
}
