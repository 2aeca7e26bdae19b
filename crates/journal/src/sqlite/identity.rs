//! Stores identities that have a window, so that new ones lie together, old ones are removed as a range, and a look-up
//! takes a bounded number of seeks.
//!
//! Hashes are spread evenly, so with the hash as the key every insert would change another page of the table. Therefore
//! a time bucket comes before the hash in the key. The bucket follows from the time of expiry. Its width is a quarter of
//! the window, rounded up to a minute times a power of two, whose exponent is the `span`. A live identity of a span can
//! then only be in the current bucket or one of the next five (the last one is for a clock that stepped back).

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rusqlite::{Connection, params};
use sha2::{Digest, Sha256};
use tripline_model::{RequestId, Timestamp, TriggerName};

use crate::Accepted;

/// The spans that have identities, as bits: only these are searched. Identities from before a window was changed are in
/// another span and are still found.
#[derive(Debug, Default)]
pub(super) struct Spans(AtomicU64);

/// An identity to be stored.
pub(super) struct Remembered<'a> {
    pub(super) hash: [u8; 16],
    pub(super) id: RequestId,
    pub(super) digest: Option<&'a [u8; 32]>,
    pub(super) accepted_at: Timestamp,
    pub(super) window: Duration,
}

const MINUTE_MILLIS: i64 = 60_000;
const MAX_SPAN: u8 = 40;

/// The hash of a key within its trigger.
pub(super) fn hash(trigger: Option<&TriggerName>, key: &str) -> [u8; 16] {
    let mut sha = Sha256::new();
    // No name contains a zero byte, so no two pairs hash the same bytes.
    sha.update(trigger.map_or("", TriggerName::as_str));
    sha.update([0]);
    sha.update(key);
    let mut short = [0; 16];
    short.copy_from_slice(&sha.finalize()[..16]);
    short
}

/// What an offer with this hash gets as its answer if the identity is known at `now`.
pub(super) fn find(
    connection: &Connection,
    spans: &Spans,
    (hash, digest): ([u8; 16], Option<&[u8; 32]>),
    now: Timestamp,
) -> rusqlite::Result<Option<Accepted>> {
    let mut statement = connection.prepare_cached(
        "SELECT id, digest FROM identities WHERE span = ?1 AND expires_at > ?4 AND hash = ?3
         AND bucket IN (?2, ?2 + 1, ?2 + 2, ?2 + 3, ?2 + 4, ?2 + 5)
         ORDER BY expires_at DESC LIMIT 1",
    )?;
    for span in spans.live() {
        let bucket = bucket(span, now);
        let mut rows = statement.query(params![span, bucket, hash, now.as_millis()])?;
        if let Some(row) = rows.next()? {
            let known: Option<[u8; 32]> = row.get(1)?;
            let other = matches!((digest, known), (Some(a), Some(b)) if *a != b);
            return Ok(Some(if other {
                Accepted::KeyReused
            } else {
                Accepted::Known(RequestId::from_bytes(row.get(0)?))
            }));
        }
    }
    Ok(None)
}

/// Remembers an identity.
pub(super) fn insert(
    connection: &Connection,
    spans: &Spans,
    new: &Remembered<'_>,
) -> rusqlite::Result<()> {
    let (span, expires_at) = (span(new.window), new.accepted_at.plus(new.window));
    spans.add(span);
    // It replaces an identity of the same key whose window is over.
    let mut statement = connection.prepare_cached(
        "INSERT OR REPLACE INTO identities (span, bucket, hash, id, digest, expires_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
    )?;
    statement.execute(params![
        span,
        bucket(span, expires_at),
        new.hash,
        new.id.as_bytes(),
        new.digest,
        expires_at.as_millis()
    ])?;
    Ok(())
}

/// Removes up to about `limit` identities of past buckets; says how many.
pub(super) fn purge(
    connection: &Connection,
    spans: &Spans,
    now: Timestamp,
    limit: i64,
) -> rusqlite::Result<u64> {
    let mut removed = 0;
    for span in spans.live() {
        // Everything in a bucket before the current one has expired.
        let mut statement = connection.prepare_cached(
            "DELETE FROM identities WHERE span = ?1 AND (bucket, hash) IN
             (SELECT bucket, hash FROM identities WHERE span = ?1 AND bucket < ?2
              ORDER BY bucket, hash LIMIT ?3)",
        )?;
        removed += statement.execute(params![span, bucket(span, now), limit])? as u64;
    }
    Ok(removed)
}

fn span(window: Duration) -> u8 {
    let quarter = window.as_millis() / 4;
    (0..MAX_SPAN)
        .find(|span| u128::from(width(*span).unsigned_abs()) >= quarter)
        .unwrap_or(MAX_SPAN)
}

fn width(span: u8) -> i64 {
    MINUTE_MILLIS << span
}

fn bucket(span: u8, at: Timestamp) -> i64 {
    at.as_millis().div_euclid(width(span))
}

// === impl Spans ===

impl Spans {
    /// Reads which spans the journal has.
    pub(super) fn load(&self, connection: &Connection) -> rusqlite::Result<()> {
        // One seek per span; DISTINCT would read the whole table.
        let mut next = connection.prepare("SELECT min(span) FROM identities WHERE span > ?1")?;
        let mut last = -1;
        while let Some(span) = next.query_row([last], |row| row.get::<_, Option<u8>>(0))? {
            self.add(span);
            last = i64::from(span);
        }
        Ok(())
    }

    fn add(&self, span: u8) {
        self.0.fetch_or(1 << span.min(MAX_SPAN), Ordering::Relaxed);
    }

    fn live(&self) -> impl Iterator<Item = u8> + use<> {
        let bits = self.0.load(Ordering::Relaxed);
        (0..=MAX_SPAN).filter(move |span| bits & (1 << span) != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_live_identity_lies_in_one_of_the_buckets_that_are_searched() {
        for minutes in [0, 1, 3, 4, 5, 60, 1440, 2000, 10_080] {
            let window = Duration::from_secs(60 * minutes + 1);
            let span = span(window);
            for start in 0..300 {
                let accepted = Timestamp::from_millis(1_795_555_058_243 + start * 777_777);
                let expires = accepted.plus(window);
                let searched = bucket(span, accepted)..=bucket(span, accepted) + 4;
                assert!(searched.contains(&bucket(span, expires)), "{minutes}");
            }
        }
    }

    #[test]
    fn keys_of_two_triggers_are_two() {
        let trigger = TriggerName::new("a").unwrap();
        assert_ne!(hash(Some(&trigger), "k"), hash(None, "k"));
        assert_ne!(hash(Some(&trigger), "k"), hash(Some(&trigger), "l"));
    }
}
