//! How far a timer came, on disk: the instant after which its next tick lies.
//!
//! The journal keeps the watermark of accepted ticks. The note here adds what no tick holds: when the timer was first
//! seen with this schedule, and which ticks were given up. It names the schedule, so that one that is changed (and
//! perhaps changed back) begins anew instead of catching up. A pause removes it, with the same effect.

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tripline_model::{CursorEntry, CursorError, Timestamp};
use tripline_trigger::{TriggerContext, TriggerError};

use crate::schedule::Schedule;

/// The note's key.
const KEY: &[u8] = b"base";

/// The stream of positions of one schedule.
pub(crate) fn stream(schedule: &Schedule) -> String {
    let digest = Sha256::digest(format!("{}\n{}", schedule.text(), schedule.zone()));
    let short: String = digest.iter().take(8).map(|b| format!("{b:02x}")).collect();
    format!("ticks:{short}")
}

/// The base to go on from: what was kept, or now after a pause and for a schedule that was not the trigger's last time.
/// It is never before the last tick that was accepted, which a clock that was set back may show as yet to come.
pub(crate) async fn load(cx: &TriggerContext, stream: &str) -> Result<Timestamp, TriggerError> {
    let kept = cx.cursors().get(cx.name(), KEY).await.map_err(unreadable)?;
    let watermark = cx.cursors().watermark(cx.name(), stream).await;
    let accepted = watermark.map_err(unreadable)?;
    let accepted = accepted.and_then(|millis| i64::try_from(millis).ok());
    let noted = match kept.and_then(|note| parse(&note, stream)) {
        Some(noted) => noted,
        None => reset(cx, stream).await?,
    };
    Ok(accepted.map_or(noted, |millis| noted.max(Timestamp::from_millis(millis))))
}

/// Makes now the base.
async fn reset(cx: &TriggerContext, stream: &str) -> Result<Timestamp, TriggerError> {
    let now = cx.clock().now();
    save(cx, stream, now).await?;
    Ok(now)
}

/// Keeps `base` for the next start.
pub(crate) async fn save(
    cx: &TriggerContext,
    stream: &str,
    base: Timestamp,
) -> Result<(), TriggerError> {
    let note = format!("{stream} {}", base.as_millis());
    write(cx, Some(Bytes::from(note))).await
}

/// Makes the next start begin anew.
pub(crate) async fn forget(cx: &TriggerContext) -> Result<(), TriggerError> {
    write(cx, None).await
}

async fn write(cx: &TriggerContext, value: Option<Bytes>) -> Result<(), TriggerError> {
    let key = Bytes::from_static(KEY);
    let entry = CursorEntry { key, value };
    let written = cx.cursors().put(cx.name(), vec![entry]).await;
    written.map_err(|error| {
        TriggerError::new("how far the timer came cannot be written").caused_by(error)
    })
}

fn parse(note: &[u8], stream: &str) -> Option<Timestamp> {
    let (noted_stream, millis) = std::str::from_utf8(note).ok()?.split_once(' ')?;
    let millis = millis.parse().ok()?;
    (noted_stream == stream).then(|| Timestamp::from_millis(millis))
}

fn unreadable(error: CursorError) -> TriggerError {
    TriggerError::new("how far the timer came cannot be read").caused_by(error)
}
