//! A log as a stream of bytes that its reader pulls: for a slow reader nothing runs and nothing is buffered.

use std::fmt::Write as _;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use serde::Serialize;
use tokio::sync::OwnedSemaphorePermit;
use tripline_listener::Problem;
use tripline_model::{Invocation, LogLine, LogStream, RequestId};

use crate::frame::Frame;
use crate::invocations::find;
use crate::logs::Piece;
use crate::refusal::logs_failed;
use crate::{ApiState, convert};

/// Lines read at once.
const BATCH: usize = 256;
/// The longest a live stream of events stays silent, so that proxies and clients do not give up.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// How often the journal is read where there is nothing to wait for.
const RECHECK_INTERVAL: Duration = Duration::from_secs(1);

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

/// Waits for the start of an invocation, or for its end; `None` where there is nothing to wait for.
type Change = Pin<Box<dyn Future<Output = Option<Invocation>> + Send>>;

/// Reads one log piece by piece.
pub(crate) struct LogReader {
    hub: Arc<ApiState>,
    id: RequestId,
    form: Form,
    until: Until,
    after: u64,
    left: u64,
    /// Whether a follower has got the first piece, which confirms the connection.
    is_confirmed: bool,
    /// Whether any of the log was read or written.
    begun: bool,
    /// Of text, the stream whose last line is not ended yet.
    open: Option<LogStream>,
    /// What is known of the run. If it has ended, all its lines can be read.
    frame: Frame,
    /// Waits for the start or the end. Kept from line to line, because a new one reads the journal.
    change: Change,
    over: bool,
    /// A follower's permit, returned when the reader is dropped.
    _permit: Option<OwnedSemaphorePermit>,
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
    /// Reads the log of an invocation from its first line.
    pub(crate) fn new(
        hub: Arc<ApiState>,
        invocation: &Invocation,
        form: Form,
        until: Until,
    ) -> Self {
        let (id, frame) = (invocation.request_id, Frame::of(invocation));
        Self {
            change: change_after(&hub, id, &frame),
            hub,
            id,
            frame,
            form,
            until,
            after: 0,
            left: u64::MAX,
            is_confirmed: false,
            begun: false,
            open: None,
            over: false,
            _permit: None,
        }
    }

    /// Holds a follower's permit for as long as it lives.
    pub(crate) fn holding(self, permit: Option<OwnedSemaphorePermit>) -> Self {
        Self {
            _permit: permit,
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

    /// The next piece; `None` when everything was read.
    pub(crate) async fn next_piece(&mut self) -> Result<Option<Bytes>, Problem> {
        if self.over {
            return Ok(None);
        }
        let mut piece = BytesMut::new();
        if !self.is_confirmed && self.until == Until::End {
            // A follower sees at once that it is connected, however long the first line takes.
            self.is_confirmed = true;
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
            let ending = self.frame.ending();
            if ending.is_some() || self.left == 0 {
                self.over = true;
                let end = ending.map(convert::end);
                // A reader whose limit leaves lines out has not seen the end.
                if let (Some(end), Form::Events) = (end, self.form)
                    && (self.left > 0 || self.lines(1).await?.is_empty())
                {
                    write_event(piece, None, Some("end"), &end);
                }
                return Ok(());
            }
            tokio::select! {
                () = self.hub.logs.changed(self.id, stored(self.after)), if self.frame.has_started() => {}
                change = &mut self.change => self.update(change).await?,
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

    /// The invocation was started, or has ended: in that case its last lines can be read when this returns.
    async fn update(&mut self, change: Option<Invocation>) -> Result<(), Problem> {
        let invocation = match change {
            Some(invocation) => invocation,
            // Its record is gone, or the hub is stopping: wait, so that this does not spin.
            None => {
                tokio::time::sleep(RECHECK_INTERVAL).await;
                find(&self.hub, self.id).await?
            }
        };
        let frame = Frame::of(&invocation);
        if frame.ending().is_some() {
            flush(&self.hub).await?;
        }
        self.change = change_after(&self.hub, self.id, &frame);
        self.frame = frame;
        Ok(())
    }

    async fn read(&mut self) -> Result<Vec<LogLine>, Problem> {
        let limit = usize::try_from(self.left).unwrap_or(BATCH).min(BATCH);
        if limit == 0 {
            return Ok(Vec::new());
        }
        let lines = self.lines(limit).await?;
        self.left -= lines.len() as u64;
        if let Some(last) = lines.last() {
            self.after = last.seq;
        }
        Ok(lines)
    }

    /// The next lines, without moving on.
    async fn lines(&mut self, limit: usize) -> Result<Vec<LogLine>, Problem> {
        let mut lines = if self.after == 0 {
            self.frame.opening().into_iter().collect()
        } else {
            self.written(limit).await?
        };
        if lines.is_empty() && self.frame.ending().is_some() {
            lines = self.closing().await?;
            lines.truncate(limit);
        }
        Ok(lines)
    }

    /// What the function wrote, with numbers that follow the opening line's.
    async fn written(&mut self, limit: usize) -> Result<Vec<LogLine>, Problem> {
        let lines = self.hub.logs.read(self.id, stored(self.after), limit).await;
        let moved = lines.map_err(|error| logs_failed(&error))?.into_iter();
        Ok(moved
            .map(|line| LogLine {
                seq: line.seq + 1,
                ..line
            })
            .collect())
    }

    /// Those of the closing lines that come after the last line that was read.
    async fn closing(&mut self) -> Result<Vec<LogLine>, Problem> {
        let last = self.hub.logs.last_seq(self.id).await;
        let last = last.map_err(|error| logs_failed(&error))? + 1;
        let closing = self.frame.closing(last).into_iter();
        Ok(closing.filter(|line| line.seq > self.after).collect())
    }

    fn write_lines(&mut self, lines: &[LogLine], piece: &mut BytesMut) {
        for line in lines {
            match self.form {
                Form::Text => self.write_text(line, piece),
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

    /// Ends a line that the function has not ended where another stream goes on, so that the two do not merge.
    fn write_text(&mut self, line: &LogLine, piece: &mut BytesMut) {
        if self.open.is_some_and(|open| open != line.stream) {
            piece.put_u8(b'\n');
        }
        piece.put_slice(&line.text);
        if line.complete {
            piece.put_u8(b'\n');
        }
        self.open = (!line.complete).then_some(line.stream);
    }
}

/// The number that the log store gave to a line.
fn stored(seq: u64) -> u64 {
    seq.saturating_sub(1)
}

/// Waits for the start or the end, whichever `frame` does not have yet.
fn change_after(hub: &Arc<ApiState>, id: RequestId, frame: &Frame) -> Change {
    let hub = hub.clone();
    if frame.ending().is_some() {
        Box::pin(std::future::pending())
    } else if frame.has_started() {
        Box::pin(async move { hub.dispatch.ended(id).await.ok().flatten() })
    } else {
        Box::pin(async move { hub.control.begun(id).await })
    }
}

/// Writes what was appended and still waits to be written.
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
