//! The slot for an instance's event: one event at a time is offered in it, the instance takes it at its Runtime API and
//! answers it. Nothing is given to an instance twice, and only the first answer counts.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tripline_model::lock;

use crate::protocol::Credentials;

/// What an instance is asked to do.
#[derive(Debug)]
pub(super) struct Event {
    /// The run's RequestId.
    pub(super) id: String,
    pub(super) data: Bytes,
    /// When the run will be stopped, milliseconds since 1970 (UTC).
    pub(super) deadline_ms: i64,
    /// The same on the clock by which it is stopped.
    pub(super) deadline: Instant,
    pub(super) max_answer_bytes: usize,
    /// Where the run stands in a trace, as W3C's `traceparent`.
    pub(super) traceparent: Option<String>,
}

/// An instance's answer to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    Response(Bytes),
    Error(Report),
    /// The response is larger than the event allows.
    TooLarge,
}

/// An error that an instance reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Report {
    pub(super) kind: String,
    pub(super) message: String,
    /// The report as it came.
    pub(super) body: Bytes,
}

/// What state the slot and its instance are in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SlotState {
    /// The instance has never asked for an event.
    Starting,
    /// There is no event.
    Free,
    /// There is an event that the instance has not seen.
    Offered,
    /// The instance works on the event.
    Taken,
    /// There is an answer.
    Answered,
    /// The instance reported that it cannot work.
    InitFailed,
    /// Its process is over.
    Exited(ExitStatus),
}

/// Which of the two Runtime APIs is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Aws,
    Scf,
}

/// The instance cannot take an event, or answer one, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfTurn;

/// See the top of this file.
pub(super) struct EventSlot {
    state: Mutex<Inner>,
    /// For the instance: there is an event.
    offered: Notify,
    /// For whoever owns the instance: something changed.
    changed: Notify,
}

#[derive(Default)]
struct Inner {
    asked: bool,
    content: Content,
    init_error: Option<Report>,
    exited: Option<ExitStatus>,
    credentials: Option<Credentials>,
}

#[derive(Default)]
enum Content {
    #[default]
    Free,
    Offered(Arc<Event>),
    Taken(Arc<Event>),
    Answered(Answer),
}

// === impl EventSlot ===

impl EventSlot {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self {
            state: Mutex::new(Inner {
                credentials,
                ..Inner::default()
            }),
            offered: Notify::new(),
            changed: Notify::new(),
        }
    }

    // --- for the owner of the instance ---

    /// The state. An answer counts even if the process is over by now.
    pub(super) fn state(&self) -> SlotState {
        let state = self.lock();
        match (&state.content, state.exited) {
            (Content::Answered(_), _) => SlotState::Answered,
            _ if state.init_error.is_some() => SlotState::InitFailed,
            (_, Some(status)) => SlotState::Exited(status),
            (Content::Taken(_), None) => SlotState::Taken,
            (Content::Offered(_), None) => SlotState::Offered,
            (Content::Free, None) if state.asked => SlotState::Free,
            (Content::Free, None) => SlotState::Starting,
        }
    }

    /// Waits for a change of the state. One waits at a time.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Offers an event to the instance. The slot must be free.
    pub(super) fn offer(&self, event: Arc<Event>) {
        self.lock().content = Content::Offered(event);
        self.offered.notify_waiters();
    }

    /// Takes an event back that the instance has not taken. `false`: it had, and what became of it is for
    /// [`Self::clear`].
    pub(super) fn withdraw(&self) -> bool {
        let mut state = self.lock();
        let untouched = matches!(state.content, Content::Free | Content::Offered(_));
        if untouched {
            state.content = Content::Free;
        }
        untouched
    }

    /// Frees the slot: the answer, or whether the instance had taken an event that it did not answer.
    pub(super) fn clear(&self) -> Result<Answer, bool> {
        match std::mem::take(&mut self.lock().content) {
            Content::Answered(answer) => Ok(answer),
            Content::Taken(_) => Err(true),
            Content::Free | Content::Offered(_) => Err(false),
        }
    }

    /// The instance's report of why it cannot work.
    pub(super) fn init_error(&self) -> Option<Report> {
        self.lock().init_error.clone()
    }

    /// Whether the instance has asked for an event at least once.
    pub(super) fn has_asked(&self) -> bool {
        self.lock().asked
    }

    pub(super) fn exited(&self, status: ExitStatus) {
        self.lock().exited = Some(status);
        self.changed.notify_one();
    }

    pub(super) fn has_exited(&self) -> bool {
        self.lock().exited.is_some()
    }

    pub(super) fn set_credentials(&self, credentials: &Credentials) {
        self.lock().credentials = Some(credentials.clone());
    }

    // --- for the Runtime API ---

    /// Waits for the next event and takes it. Asked again before the answer, SCF's dialect gives the same event, AWS's
    /// gives none: its clients ask once, so a second asker would run the event a second time. Once the instance is
    /// over, what it left running gets nothing: the event may go to another one.
    pub(super) async fn take(&self, dialect: Dialect) -> Result<Arc<Event>, OutOfTurn> {
        let mut waited = false;
        loop {
            let offered = self.offered.notified();
            tokio::pin!(offered);
            offered.as_mut().enable();
            {
                let mut state = self.lock();
                if !std::mem::replace(&mut state.asked, true) {
                    self.changed.notify_one();
                }
                match &state.content {
                    Content::Offered(_) if state.exited.is_some() => return Err(OutOfTurn),
                    Content::Offered(event) => {
                        let event = event.clone();
                        state.content = Content::Taken(event.clone());
                        return Ok(event);
                    }
                    Content::Taken(event) if dialect == Dialect::Scf && !waited => {
                        return Ok(event.clone());
                    }
                    Content::Taken(_) if !waited => return Err(OutOfTurn),
                    Content::Taken(_) | Content::Free | Content::Answered(_) => {}
                }
            }
            waited = true;
            offered.await;
        }
    }

    /// The event that the instance works on, if it is the one with this id; any, if there is none.
    pub(super) fn current(&self, id: Option<&str>) -> Result<Arc<Event>, OutOfTurn> {
        match &self.lock().content {
            Content::Taken(event) if id.is_none_or(|id| id == event.id) => Ok(event.clone()),
            _ => Err(OutOfTurn),
        }
    }

    /// Takes the answer to `event`, unless there is one already.
    pub(super) fn answer(&self, event: &Arc<Event>, answer: Answer) -> Result<(), OutOfTurn> {
        let mut state = self.lock();
        match &state.content {
            Content::Taken(taken) if Arc::ptr_eq(taken, event) => {
                state.content = Content::Answered(answer);
                self.changed.notify_one();
                Ok(())
            }
            _ => Err(OutOfTurn),
        }
    }

    /// Notes that the instance cannot work. After its first event it is too late to say so.
    pub(super) fn fail_init(&self, report: Report) -> Result<(), OutOfTurn> {
        let mut state = self.lock();
        if state.asked {
            return Err(OutOfTurn);
        }
        state.init_error.get_or_insert(report);
        self.changed.notify_one();
        Ok(())
    }

    /// The latest credentials of the function's role.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        self.lock().credentials.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.state)
    }
}
