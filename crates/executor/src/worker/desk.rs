//! The desk of an instance: one event at a time is laid on it, the instance takes it at its Runtime API and brings the
//! answer back. Nothing is given to an instance twice, and only the first answer counts.

use std::process::ExitStatus;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;

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

/// What an instance said to an event.
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

/// How things stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// The instance has never asked for an event.
    Starting,
    /// Nothing lies here.
    Free,
    /// An event lies here that the instance has not seen.
    Offered,
    /// The instance works on the event.
    Taken,
    /// The answer lies here.
    Answered,
    /// The instance says that it cannot work.
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

/// Why something cannot be taken or brought now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfTurn;

/// See the top of this file.
pub(super) struct Desk {
    state: Mutex<State>,
    /// For the instance: an event lies here.
    offered: Notify,
    /// For whoever owns the instance: something changed.
    news: Notify,
}

#[derive(Default)]
struct State {
    asked: bool,
    place: Place,
    init_error: Option<Report>,
    exited: Option<ExitStatus>,
    credentials: Option<Credentials>,
}

#[derive(Default)]
enum Place {
    #[default]
    Free,
    Offered(Arc<Event>),
    Taken(Arc<Event>),
    Answered(Answer),
}

// === impl Desk ===

impl Desk {
    pub(super) fn new(credentials: Option<Credentials>) -> Self {
        Self {
            state: Mutex::new(State {
                credentials,
                ..State::default()
            }),
            offered: Notify::new(),
            news: Notify::new(),
        }
    }

    // --- for the owner of the instance ---

    /// How things stand. An answer counts even if the process is over by now.
    pub(super) fn look(&self) -> Look {
        let state = self.lock();
        match (&state.place, state.exited) {
            (Place::Answered(_), _) => Look::Answered,
            _ if state.init_error.is_some() => Look::InitFailed,
            (_, Some(status)) => Look::Exited(status),
            (Place::Taken(_), None) => Look::Taken,
            (Place::Offered(_), None) => Look::Offered,
            (Place::Free, None) if state.asked => Look::Free,
            (Place::Free, None) => Look::Starting,
        }
    }

    /// Waits for a change since the last look. One waits at a time.
    pub(super) async fn news(&self) {
        self.news.notified().await;
    }

    /// Lays an event on the desk, which must be free.
    pub(super) fn offer(&self, event: Arc<Event>) {
        self.lock().place = Place::Offered(event);
        self.offered.notify_waiters();
    }

    /// Takes an event back that the instance has not taken. `false`: it had, and what became of it is for
    /// [`Self::clear`].
    pub(super) fn withdraw(&self) -> bool {
        let mut state = self.lock();
        let untouched = matches!(state.place, Place::Free | Place::Offered(_));
        if untouched {
            state.place = Place::Free;
        }
        untouched
    }

    /// Clears the desk: the answer, or whether the instance had taken an event that it did not answer.
    pub(super) fn clear(&self) -> Result<Answer, bool> {
        match std::mem::take(&mut self.lock().place) {
            Place::Answered(answer) => Ok(answer),
            Place::Taken(_) => Err(true),
            Place::Free | Place::Offered(_) => Err(false),
        }
    }

    /// What the instance said of why it cannot work.
    pub(super) fn init_error(&self) -> Option<Report> {
        self.lock().init_error.clone()
    }

    /// Whether the instance has asked for an event at least once.
    pub(super) fn has_asked(&self) -> bool {
        self.lock().asked
    }

    pub(super) fn exited(&self, status: ExitStatus) {
        self.lock().exited = Some(status);
        self.news.notify_one();
    }

    pub(super) fn has_exited(&self) -> bool {
        self.lock().exited.is_some()
    }

    pub(super) fn set_credentials(&self, credentials: &Credentials) {
        self.lock().credentials = Some(credentials.clone());
    }

    // --- for the Runtime API ---

    /// Waits for the next event and takes it. Asked again before the answer, SCF's dialect gives the same event, AWS's
    /// gives none: its clients ask once, so a second asker would run the event a second time. Once the instance is over,
    /// what it left running gets nothing: the event may go to another one.
    pub(super) async fn take(&self, dialect: Dialect) -> Result<Arc<Event>, OutOfTurn> {
        let mut waited = false;
        loop {
            let offered = self.offered.notified();
            tokio::pin!(offered);
            offered.as_mut().enable();
            {
                let mut state = self.lock();
                if !std::mem::replace(&mut state.asked, true) {
                    self.news.notify_one();
                }
                match &state.place {
                    Place::Offered(_) if state.exited.is_some() => return Err(OutOfTurn),
                    Place::Offered(event) => {
                        let event = event.clone();
                        state.place = Place::Taken(event.clone());
                        return Ok(event);
                    }
                    Place::Taken(event) if dialect == Dialect::Scf && !waited => {
                        return Ok(event.clone());
                    }
                    Place::Taken(_) if !waited => return Err(OutOfTurn),
                    Place::Taken(_) | Place::Free | Place::Answered(_) => {}
                }
            }
            waited = true;
            offered.await;
        }
    }

    /// The event that the instance works on, if it is the one with this id; any, if there is none.
    pub(super) fn current(&self, id: Option<&str>) -> Result<Arc<Event>, OutOfTurn> {
        match &self.lock().place {
            Place::Taken(event) if id.is_none_or(|id| id == event.id) => Ok(event.clone()),
            _ => Err(OutOfTurn),
        }
    }

    /// Brings the answer to `event`, unless there is one already.
    pub(super) fn answer(&self, event: &Arc<Event>, answer: Answer) -> Result<(), OutOfTurn> {
        let mut state = self.lock();
        match &state.place {
            Place::Taken(taken) if Arc::ptr_eq(taken, event) => {
                state.place = Place::Answered(answer);
                self.news.notify_one();
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
        self.news.notify_one();
        Ok(())
    }

    /// The newest keys of the function's role.
    pub(super) fn credentials(&self) -> Option<Credentials> {
        self.lock().credentials.clone()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
