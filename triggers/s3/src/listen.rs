//! MinIO's Listen stream: lines of JSON without end. The server stores nothing: what is sent while nobody listens, or
//! while the listener is slow, is lost. So one half only reads, and the listing makes up for every gap.

use std::time::Duration;

use bytes::{Buf, BytesMut};
use sha2::{Digest, Sha256};
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;

use crate::client::Bucket;
use crate::dialect::Ingress;
use crate::failure::causes;
use crate::health::{Health, Part};
use crate::intake::{Intake, Manner};
use crate::names::is_creation;
use crate::record::{Message, Notification, parse};

/// The longest line that is taken, in bytes; S3 notifications have at most 64 KiB.
const MAX_LINE_BYTES: usize = 256 * 1024;
/// Notifications that wait for their dispatch. What comes on top is left to the listing.
const WAITING: usize = 4096;
/// Notifications offered in one dispatch.
const BATCH: usize = 256;
/// Heartbeats that may stay away before the stream counts as dead.
const MISSED_HEARTBEATS: u32 = 3;
/// The time to connect. The server sends the answer's head with its first line, a heartbeat later.
const OPENING: Duration = Duration::from_secs(5);
const FIRST_WAIT: Duration = Duration::from_millis(250);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// One trigger's stream.
pub(crate) struct Listening<'a> {
    pub(crate) intake: &'a Intake,
    pub(crate) bucket: &'a Bucket,
    pub(crate) health: &'a Health,
    /// Asks for a listing.
    pub(crate) gap: &'a Notify,
    pub(crate) heartbeat: Duration,
}

/// Cuts a stream of bytes into lines.
#[derive(Default)]
struct Lines {
    buffer: BytesMut,
    /// Bytes at the front that hold no line end.
    searched: usize,
}

// === impl Listening ===

impl Listening<'_> {
    /// Listens for ever, through all interruptions.
    pub(crate) async fn run(&self) {
        self.intake.cx.fact("listening", false);
        let (queue, waiting) = mpsc::channel(WAITING);
        tokio::join!(self.keep_reading(queue), self.keep_dispatching(waiting));
    }

    async fn keep_reading(&self, queue: mpsc::Sender<Notification>) {
        let mut failures = 0;
        loop {
            let mut subscribed = false;
            let why = match self.read(&queue, &mut subscribed).await {
                Ok(()) => "the server closed the Listen stream".to_owned(),
                Err(why) => why,
            };
            self.intake.cx.fact("listening", false);
            let why = format!("{}: {why}", self.bucket.place());
            self.health.trouble(Part::Notifications, why);
            if subscribed {
                failures = 0;
            } else {
                // Nothing is received, and nobody knows for how long: the listing steps in at every attempt.
                self.gap.notify_one();
            }
            let wait = backoff(
                failures,
                self.intake.cx.hub_id(),
                self.intake.cx.name().as_str(),
            );
            failures = failures.saturating_add(1);
            tokio::time::sleep(wait).await;
        }
    }

    /// One connection, from the request to its end.
    async fn read(
        &self,
        queue: &mpsc::Sender<Notification>,
        subscribed: &mut bool,
    ) -> Result<(), String> {
        let mut answer = self.open().await?;
        let silence = self.silence();
        let mut lines = Lines::default();
        loop {
            let chunk = timeout(silence, answer.chunk()).await;
            let chunk = chunk.map_err(|_| format!("no heartbeat for {} s", silence.as_secs()))?;
            let chunk = chunk.map_err(|err| {
                let why = causes(&err.without_url());
                format!("the Listen stream broke: {why}")
            })?;
            let Some(chunk) = chunk else { return Ok(()) };
            lines.buffer.extend_from_slice(&chunk);
            let mut lost = 0;
            while let Some(line) = lines.next() {
                if !*subscribed {
                    *subscribed = true;
                    self.intake.cx.fact("listening", true);
                    self.health.well(Part::Notifications);
                    self.gap.notify_one();
                }
                lost += self.enqueue(&line, queue);
            }
            self.report_lost(lost);
            if lines.buffer.len() > MAX_LINE_BYTES {
                return Err(format!("a line has more than {MAX_LINE_BYTES} bytes"));
            }
        }
    }

    async fn open(&self) -> Result<reqwest::Response, String> {
        let now = self.intake.cx.clock().now();
        let limit = OPENING + self.silence();
        let opened = timeout(limit, self.bucket.listen(self.heartbeat, now)).await;
        let opened = opened.map_err(|_| {
            format!(
                "the Listen stream gives no byte within {} s (some builds of MinIO keep it back: \
                 see the README of the kind s3)",
                limit.as_secs()
            )
        })?;
        opened.map_err(|err| err.to_string())
    }

    /// The longest time without a line.
    fn silence(&self) -> Duration {
        self.heartbeat * MISSED_HEARTBEATS
    }

    /// Queues the notifications of a line; returns how much is lost for good, as there is no room.
    fn enqueue(&self, line: &[u8], queue: &mpsc::Sender<Notification>) -> u64 {
        if line.trim_ascii().is_empty() {
            return 0;
        }
        let parsed = parse(line, Ingress::Listen, self.intake.config.dialect);
        let message = parsed.unwrap_or_else(|why| Message {
            notifications: Vec::new(),
            skipped: vec![why],
        });
        for why in &message.skipped {
            let name = self.intake.cx.name();
            tracing::warn!(trigger = %name, "a line of the Listen stream was skipped: {why}");
        }
        self.intake.tally.skipped(message.skipped.len() as u64);
        let mut lost = 0;
        for notification in message.notifications {
            match queue.try_send(notification) {
                Ok(()) => self.intake.backlog.received(),
                // Never wait here: a slow reader loses lines without a sign.
                Err(full) => match full.into_inner() {
                    creation if is_creation(&creation.name) => self.gap.notify_one(),
                    other => lost += u64::from(self.intake.wants(&other)),
                },
            }
        }
        lost
    }

    fn report_lost(&self, lost: u64) {
        if lost > 0 {
            let name = self.intake.cx.name();
            tracing::warn!(
                trigger = %name,
                lost,
                "notifications came faster than they are dispatched: dropped, and no listing shows such"
            );
            self.intake.tally.skipped(lost);
        }
    }

    async fn keep_dispatching(&self, mut waiting: mpsc::Receiver<Notification>) {
        let mut batch = Vec::with_capacity(BATCH);
        while waiting.recv_many(&mut batch, BATCH).await > 0 {
            while let Err(not_taken) = self.intake.take(&batch, Manner::Pull).await {
                self.health.trouble(Part::Dispatch, not_taken.to_string());
                tokio::time::sleep(not_taken.retry_after()).await;
            }
            self.health.well(Part::Dispatch);
            self.intake.backlog.settled(batch.len());
            batch.clear();
        }
    }
}

// === impl Lines ===

impl Lines {
    fn next(&mut self) -> Option<BytesMut> {
        let found = self.buffer[self.searched..]
            .iter()
            .position(|byte| *byte == b'\n');
        let Some(at) = found else {
            self.searched = self.buffer.len();
            return None;
        };
        let line = self.buffer.split_to(self.searched + at);
        self.buffer.advance(1);
        self.searched = 0;
        Some(line)
    }
}

/// Doubles with every failure. A part of it depends on who waits, so that hubs do not come back all at once.
fn backoff(failures: u32, hub: &str, trigger: &str) -> Duration {
    let full = FIRST_WAIT
        .saturating_mul(1 << failures.min(10))
        .min(LONGEST_WAIT);
    let digest = Sha256::digest(format!("{hub} {trigger} {failures}"));
    full.mul_f64(0.5 + f64::from(digest[0]) / 512.0)
}

#[cfg(test)]
mod tests;
