//! Traces by OTLP: one trace from the event's sender over the hub to the function.
//!
//! What is durable is what is traced: a [`TracedJournal`] notes what the journal has taken, and a task of its own makes
//! spans out of the records and sends them. So a trace goes on in the next life of the hub, tracing holds up nobody, and
//! without `[traces]` nothing of it is there.

mod export;
mod journal;
mod spans;

use std::sync::Arc;

use tokio::sync::mpsc;
use tripline_journal::Journal;
use tripline_model::{Clock, Event, RequestId, Timestamp};

pub(crate) use export::{Exporter, ExporterError, Target};
pub(crate) use journal::TracedJournal;

/// Notes that wait to be sent, at most; further ones are dropped and counted.
const MAX_NOTES: usize = 8192;

/// What the journal has taken.
#[derive(Debug)]
pub(crate) enum Note {
    /// An event was accepted.
    Accepted {
        id: RequestId,
        /// Without its data.
        event: Event,
        began: Timestamp,
        ended: Timestamp,
    },
    /// An invocation has ended; its record says the rest.
    Ended(RequestId),
}

/// A journal that notes what it takes, and who sends it on.
pub(crate) fn traced(
    journal: Arc<dyn Journal>,
    clock: Arc<dyn Clock>,
    target: Target,
    service: String,
) -> Result<(Arc<dyn Journal>, Exporter), ExporterError> {
    let (notes, inbox) = mpsc::channel(MAX_NOTES);
    let exporter = Exporter::new(inbox, journal.clone(), target, service)?;
    let share = exporter.share();
    let traced = TracedJournal::new(journal, clock, notes, share);
    Ok((Arc::new(traced), exporter))
}
