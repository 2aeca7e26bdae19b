//! One run at an executor, and what is still to be sent about it.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::oneshot;
use tripline_model::RequestId;

use super::ClientError;
use super::inbox::Inbox;
use crate::protocol::{Credentials, Start, StopHow, ToExecutor};

/// A message, its blob, and who waits until it was sent.
pub(super) struct Outgoing {
    pub(super) message: ToExecutor,
    pub(super) blob: Bytes,
    pub(super) notifier: Option<SentNotifier>,
}

/// Is notified of whether a start was sent.
pub(super) type SentNotifier = oneshot::Sender<Result<(), ClientError>>;

/// One run.
pub(super) struct Entry {
    pub(super) function: String,
    pub(super) ended: bool,
    /// Nothing of it is alive.
    pub(super) reclaimed: bool,
    /// Its end is durable: only its reclaiming is still waited for.
    pub(super) forgotten: bool,
    pub(super) inbox: Arc<Inbox>,
    /// Whether it waits in the table's queue.
    pub(super) queued: bool,
    /// Not sent yet: nothing has run, and the run can go to another executor.
    start: Option<(Start, Bytes, SentNotifier)>,
    kept: u64,
    stop: Option<StopHow>,
    credentials: Option<Credentials>,
    due: Due,
}

/// What is to be sent.
#[derive(Default)]
struct Due {
    attach: bool,
    forget: bool,
    kept: bool,
    stop: bool,
    renew: bool,
}

// === impl Entry ===

impl Entry {
    /// A run that the executor holds.
    pub(super) fn held(function: String, ended: bool) -> Self {
        Self {
            function,
            ended,
            reclaimed: false,
            forgotten: false,
            inbox: Arc::new(Inbox::unclaimed()),
            queued: false,
            start: None,
            kept: 0,
            stop: None,
            credentials: None,
            due: Due::default(),
        }
    }

    /// A run that is to be started.
    pub(super) fn new(start: Start, data: Bytes, notifier: SentNotifier) -> Self {
        let mut entry = Self::held(start.function.clone(), false);
        entry.inbox = Arc::new(Inbox::claimed());
        entry.start = Some((start, data, notifier));
        entry
    }

    /// Whether its start was not sent yet.
    pub(super) fn is_unsent(&self) -> bool {
        self.start.is_some()
    }

    pub(super) fn attach(&mut self, after: u64) {
        self.kept = after;
        self.due.attach = true;
    }

    pub(super) fn keep(&mut self, line: u64) {
        self.due.kept |= line > self.kept;
        self.kept = self.kept.max(line);
    }

    pub(super) fn stop(&mut self, how: StopHow) {
        let counts = self
            .stop
            .as_ref()
            .is_none_or(|now| now.is_overridden_by(&how));
        if !self.ended && counts {
            self.stop = Some(how);
            self.due.stop = true;
        }
    }

    pub(super) fn renew(&mut self, credentials: Credentials) {
        if !self.ended {
            self.credentials = Some(credentials);
            self.due.renew = true;
        }
    }

    pub(super) fn forget(&mut self) {
        self.forgotten = true;
        self.due.forget = true;
    }

    /// It is over: there is nothing to stop, and no use for credentials.
    pub(super) fn end(&mut self) {
        self.ended = true;
        (self.stop, self.credentials) = (None, None);
    }

    /// There is a new connection: the executor may not have received what was sent last.
    pub(super) fn resend(&mut self) {
        if self.inbox.is_claimed() {
            self.inbox.rewind();
            self.due.attach = true;
        }
        self.due.stop = self.stop.is_some();
        self.due.renew = self.credentials.is_some();
        self.due.forget = self.forgotten;
    }

    /// The next message to send.
    pub(super) fn next(&mut self, id: RequestId) -> Option<Outgoing> {
        if let Some((start, blob, notifier)) = self.start.take() {
            let message = ToExecutor::Start(start);
            return Some(Outgoing {
                message,
                blob,
                notifier: Some(notifier),
            });
        }
        let run = id.to_string();
        let due = &mut self.due;
        let message = if std::mem::take(&mut due.attach) {
            due.kept = false;
            ToExecutor::Attach {
                run,
                after: self.kept,
            }
        } else if std::mem::take(&mut due.forget) {
            ToExecutor::Forget { run }
        } else if std::mem::take(&mut due.kept) {
            ToExecutor::Kept {
                run,
                line: self.kept,
            }
        } else if let Some(how) = self.stop.clone().filter(|_| due.stop) {
            due.stop = false;
            ToExecutor::Stop { run, how }
        } else {
            let credentials = self.credentials.clone().filter(|_| due.renew)?;
            due.renew = false;
            ToExecutor::Renew { run, credentials }
        };
        Some(message.into())
    }
}

impl From<ToExecutor> for Outgoing {
    fn from(message: ToExecutor) -> Self {
        Self {
            message,
            blob: Bytes::new(),
            notifier: None,
        }
    }
}
