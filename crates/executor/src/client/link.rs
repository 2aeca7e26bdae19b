//! One executor as the hub sees it, over all connections to it.

use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::yield_now;
use tripline_model::{LogStream, RequestId, Timestamp, lock};

use super::connection::{Connection, Reader, Writer};
use super::entry::Outgoing;
use super::find::Folder;
use super::inbox::Overfull;
use super::table::Table;
use super::{ClientError, NumberedLine, RunEvent};
use crate::protocol::{FrameError, FromExecutor, HeldRun, LineHead, Welcome};

/// One executor.
pub(super) struct Link {
    pub(super) folder: Folder,
    pub(super) pid: u32,
    pub(super) release: String,
    pub(super) level: String,
    table: Mutex<Table>,
    /// Something is to be sent.
    due: Notify,
    /// Everything was sent.
    settled: Notify,
}

/// Why a connection is of no more use.
#[derive(Debug, thiserror::Error)]
pub(super) enum Trouble {
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// A run is taken up again.
    #[error("it is made anew")]
    Afresh,
    #[error("it broke the protocol: {0}")]
    Protocol(String),
}

// === impl Link ===

impl Link {
    pub(super) fn new(folder: Folder, welcome: Welcome) -> Self {
        let table = Table::join(parsed(welcome.runs), welcome.retired);
        Self {
            folder,
            pid: welcome.pid,
            release: welcome.release,
            level: welcome.level,
            table: Mutex::new(table),
            due: Notify::new(),
            settled: Notify::new(),
        }
    }

    /// Looks at the table.
    pub(super) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// Changes the table and wakes the write loop.
    pub(super) fn change<T>(&self, change: impl FnOnce(&mut Table) -> T) -> T {
        let changed = change(&mut self.table());
        self.due.notify_one();
        changed
    }

    /// After a new connection: what the executor holds now. Runs that it lost are over.
    pub(super) fn rejoined(&self, welcome: Welcome) {
        let unknown = self.change(|table| table.rejoin(&parsed(welcome.runs)));
        for inbox in unknown {
            let id = &self.folder.id;
            let why = "the connection broke before it heard of it";
            inbox.lose(&format!("executor {id} does not hold the run: {why}"), true);
        }
    }

    /// Waits until everything was sent.
    pub(super) async fn settled(&self) {
        loop {
            let settled = self.settled.notified();
            if self.table().is_settled() {
                return;
            }
            settled.await;
        }
    }

    /// Reads and writes until the connection fails or is to be replaced.
    pub(super) async fn run_connection(&self, connection: Connection) -> Trouble {
        let Connection {
            mut reader,
            mut writer,
        } = connection;
        let ended = tokio::select! {
            ended = self.read_loop(&mut reader) => ended,
            ended = self.write_loop(&mut writer) => ended,
        };
        match ended {
            Err(trouble) => trouble,
            Ok(never) => match never {},
        }
    }

    async fn write_loop(&self, writer: &mut Writer) -> Result<std::convert::Infallible, Trouble> {
        loop {
            let (outgoing, afresh) = {
                let mut table = self.table();
                (table.next(), table.wants_afresh())
            };
            if afresh {
                return Err(Trouble::Afresh);
            }
            let Some(Outgoing {
                message,
                blob,
                notifier,
            }) = outgoing
            else {
                writer.flush().await?;
                self.table().flushed();
                self.settled.notify_waiters();
                self.due.notified().await;
                // Tasks that are ready now may have something for the same packet.
                yield_now().await;
                continue;
            };
            let written = writer.write(&message, &blob).await;
            let answer = match written {
                Ok(()) => Ok(()),
                Err(error @ (FrameError::TooLarge { .. } | FrameError::Malformed(_))) => {
                    tracing::error!(executor = %self.folder.id, %error, "a message cannot be sent");
                    Err(ClientError::Broken {
                        id: self.folder.id.clone(),
                        source: error,
                    })
                }
                // Whether it arrived will show with the next connection, or never.
                Err(error) => {
                    notifier.map(|notifier| notifier.send(Ok(())));
                    return Err(error.into());
                }
            };
            notifier.map(|notifier| notifier.send(answer));
        }
    }

    async fn read_loop(&self, reader: &mut Reader) -> Result<std::convert::Infallible, Trouble> {
        loop {
            let (message, blob) = reader.read().await?;
            let (run, event) = event(message, blob).map_err(Trouble::Protocol)?;
            let Ok(id) = run.parse::<RequestId>() else {
                return Err(Trouble::Protocol(format!(
                    "`{}` is no run",
                    run.escape_debug()
                )));
            };
            let inbox = self.table().receive(id, &event);
            if let Some(inbox) = inbox {
                inbox.put(event).map_err(|Overfull| {
                    Trouble::Protocol(format!("more messages of run {id} than it may send ahead"))
                })?;
            }
        }
    }
}

fn parsed(runs: Vec<HeldRun>) -> Vec<(RequestId, HeldRun)> {
    let parsed = runs
        .into_iter()
        .filter_map(|run| Some((run.run.parse().ok()?, run)));
    parsed.collect()
}

/// Which run a message is about, and its event.
fn event(message: FromExecutor, blob: Bytes) -> Result<(String, RunEvent), String> {
    Ok(match message {
        FromExecutor::Lines { run, first, lines } => {
            (run, RunEvent::Lines(numbered(first, lines, blob)?))
        }
        FromExecutor::Ended {
            run,
            outcome,
            reclaimed,
        } => (
            run,
            RunEvent::Ended {
                outcome,
                result: blob,
                reclaimed,
            },
        ),
        FromExecutor::Reclaimed { run } => (run, RunEvent::Reclaimed),
        FromExecutor::Welcome(_) | FromExecutor::Refused(_) => {
            return Err("a second answer to the greeting".to_owned());
        }
    })
}

fn numbered(
    first: u64,
    heads: Vec<LineHead>,
    mut texts: Bytes,
) -> Result<Vec<NumberedLine>, String> {
    if first.checked_add(heads.len() as u64).is_none() {
        return Err("numbers of lines that do not exist".to_owned());
    }
    let mut lines = Vec::with_capacity(heads.len());
    for (number, head) in (first..).zip(heads) {
        let len = head.len as usize;
        if len > texts.len() {
            return Err("lines without their text".to_owned());
        }
        lines.push(NumberedLine {
            number,
            at: Timestamp::from_millis(head.at_ms),
            stream: stream(&head.stream)?,
            text: texts.split_to(len),
            complete: head.complete,
        });
    }
    if texts.is_empty() {
        Ok(lines)
    } else {
        Err("text without lines".to_owned())
    }
}

fn stream(word: &str) -> Result<LogStream, String> {
    let all = [LogStream::Stdout, LogStream::Stderr, LogStream::System];
    let found = all.into_iter().find(|stream| stream.as_str() == word);
    found.ok_or_else(|| format!("`{}` is no stream", word.escape_debug()))
}
