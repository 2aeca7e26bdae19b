//! A log as a stream of bytes, pulled by its reader: nothing runs and nothing is buffered for one that reads slowly.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tripline_listener::Problem;
use tripline_model::{Invocation, LogLine, RequestId};

use crate::invocations::find;
use crate::logs::Piece;
use crate::refusal::logs_failed;
use crate::wire::EndView;
use crate::{ApiState, convert};

/// Lines read at once.
const BATCH: usize = 256;
/// Longest silence of a live stream of events; keeps proxies and clients from giving up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Pause before looking again where nothing can be waited for.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Bytes as the function wrote them, a line end after each complete line.
    Text,
    /// A JSON array.
    Json,
    /// Server-sent events.
    Events,
}

/// How far a log is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Until {
    /// What is there.
    Now,
    /// To the end of the invocation, however long it takes.
    End,
}

/// Waits for the end of an invocation; `None` where there is nothing to wait for.
type Ending = Pin<Box<dyn Future<Output = Option<Invocation>> + Send>>;

/// Reads one log piece by piece.
pub(crate) struct LogReader {
    hub: Arc<ApiState>,
    id: RequestId,
    form: Form,
    until: Until,
    after: u64,
    left: u64,
    /// Whether a follower has been told that it is connected.
    greeted: bool,
    /// Whether anything of the log was asked for or written.
    begun: bool,
    /// Waits for the end. Not asked again for each line: it would look into the journal each time.
    ending: Ending,
    /// How the invocation ended, once all its lines can be read.
    end: Option<EndView>,
    over: bool,
    /// A follower's place, free again when it is gone.
    _place: Option<OwnedSemaphorePermit>,
}

// === impl Form ===

impl Form {
    /// The content type.
    pub(crate) fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Json => "application/json",
            Self::Events => "text/event-stream",
        }
    }
}

// === impl LogReader ===

impl LogReader {
    /// Reads the log of `id` from its first line.
    pub(crate) fn new(hub: Arc<ApiState>, id: RequestId, form: Form, until: Until) -> Self {
        Self {
            ending: ending_of(&hub, id),
            hub,
            id,
            form,
            until,
            after: 0,
            left: u64::MAX,
            greeted: false,
            begun: false,
            end: None,
            over: false,
            _place: None,
        }
    }

    /// Holds a follower's place for as long as it lives.
    pub(crate) fn in_place(self, place: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            _place: place,
            ..self
        }
    }

    /// Begins behind line `seq`.
    pub(crate) fn after(self, seq: u64) -> Self {
        Self { after: seq, ..self }
    }

    /// Reads so many lines at most.
    pub(crate) fn at_most(self, lines: u64) -> Self {
        Self {
            left: lines,
            ..self
        }
    }

    /// `first`, then all further pieces.
    pub(crate) fn into_stream(self, first: Bytes) -> impl Stream<Item = Piece> {
        let rest = stream::unfold(self, |mut reader| async move {
            let piece = reader.next_piece().await.transpose()?;
            let piece = piece.map_err(|problem| std::io::Error::other(problem.title));
            Some((piece, reader))
        });
        stream::once(async move { Ok(first) }).chain(rest)
    }

    /// The next piece; `None` when all is told.
    pub(crate) async fn next_piece(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.over {
            return Ok(None);
        }
        let mut piece = BytesMut::new();
        if !self.greeted && self.until == Until::End {
            // A follower knows at once that it is connected, however long the first line takes.
            self.greeted = true;
            if self.form == Form::Events {
                piece.put_slice(b": following\n\n");
            }
            return Ok(Some(piece.freeze()));
        }
        match self.until {
            Until::Now => {
                if !self.begun {
                    flush(&self.hub).await?;
                }
                let lines = self.read().await?;
                self.over = lines.is_empty();
                self.write_lines(&lines, &mut piece);
            }
            Until::End => self.next_live(&mut piece).await?,
        }
        if self.over && self.form == Form::Json {
            piece.put_slice(if self.begun { b"]" } else { b"[]" });
        }
        self.begun = true;
        Ok(Some(piece.freeze()))
    }

    /// Waits until there is something to write.
    async fn next_live(&mut self, piece: &mut BytesMut) -> Result<(), Problem> {
        loop {
            let lines = self.read().await?;
            if !lines.is_empty() {
                self.write_lines(&lines, piece);
                return Ok(());
            }
            if self.end.is_some() || self.left == 0 {
                self.over = true;
                if let (Some(end), Form::Events) = (&self.end, self.form) {
                    write_event(piece, None, Some("end"), end);
                }
                return Ok(());
            }
            tokio::select! {
                () = self.hub.logs.changed(self.id, self.after) => {}
                ended = &mut self.ending => self.look_at_end(ended).await?,
                () = self.hub.closing.cancelled() => {
                    self.over = true;
                    return Ok(());
                }
                () = tokio::time::sleep(KEEP_ALIVE), if self.form == Form::Events => {
                    piece.put_slice(b": still here\n\n");
                    return Ok(());
                }
            }
        }
    }

    /// The invocation has ended: its last lines can be read when this returns, and the end is told after them.
    async fn look_at_end(&mut self, ended: Option<Invocation>) -> Result<(), Problem> {
        let Some(invocation) = ended else {
            // Its record is gone, or the hub is stopping: no news, and no reason to spin.
            tokio::time::sleep(LOOK_AGAIN).await;
            find(&self.hub, self.id).await?;
            self.ending = ending_of(&self.hub, self.id);
            return Ok(());
        };
        flush(&self.hub).await?;
        self.end = Some(convert::end(&invocation));
        self.ending = Box::pin(std::future::pending());
        Ok(())
    }

    async fn read(&mut self) -> Result<Vec<LogLine>, Problem> {
        let limit = usize::try_from(self.left).unwrap_or(BATCH).min(BATCH);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let lines = self.hub.logs.read(self.id, self.after, limit).await;
        let lines = lines.map_err(|error| logs_failed(&error))?;
        self.left -= lines.len() as u64;
        if let Some(last) = lines.last() {
            self.after = last.seq;
        }
        Ok(lines)
    }

    fn write_lines(&mut self, lines: &[LogLine], piece: &mut BytesMut) {
        for line in lines {
            match self.form {
                Form::Text => {
                    piece.put_slice(&line.text);
                    if line.complete {
                        piece.put_u8(b'\n');
                    }
                }
                Form::Json => {
                    piece.put_u8(if self.begun { b',' } else { b'[' });
                    piece.put_slice(&json(&convert::log_line(line)));
                }
                Form::Events => {
                    write_event(piece, Some(line.seq), None, &convert::log_line(line));
                }
            }
            self.begun = true;
        }
    }
}

fn ending_of(hub: &Arc<ApiState>, id: RequestId) -> Ending {
    let hub = hub.clone();
    Box::pin(async move { hub.dispatch.ended(id).await })
}

/// What was appended may still wait to be written.
async fn flush(hub: &ApiState) -> Result<(), Problem> {
    let flushed = hub.logs.flush().await;
    flushed.map_err(|error| logs_failed(&error))
}

/// JSON has no raw line ends, so one `data` line holds it.
fn write_event(piece: &mut BytesMut, id: Option<u64>, kind: Option<&str>, data: &impl Serialize) {
    let mut head = String::new();
    if let Some(id) = id {
        let _ = writeln!(head, "id: {id}");
    }
    if let Some(kind) = kind {
        let _ = writeln!(head, "event: {kind}");
    }
    piece.put_slice(head.as_bytes());
    piece.put_slice(b"data: ");
    piece.put_slice(&json(data));
    piece.put_slice(b"\n\n");
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("strings and numbers are always JSON")
}
