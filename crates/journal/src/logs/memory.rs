//! A log store that keeps everything in memory: for tests.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use async_trait::async_trait;
use tripline_model::{LogLine, RequestId, Timestamp, lock};

use super::followers::Followers;
use super::tally::Tally;
use crate::log_store::Fill;
use crate::{LogError, LogStore, NewLine};

/// A log store in memory.
#[derive(Default)]
pub struct MemoryLogStore {
    logs: Mutex<State>,
    followers: Followers,
}

#[derive(Default)]
struct State {
    logs: HashMap<RequestId, (Tally, Vec<LogLine>)>,
    closed: bool,
}

// === impl MemoryLogStore ===

impl MemoryLogStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    fn open(&self) -> Result<MutexGuard<'_, State>, LogError> {
        let state = lock(&self.logs);
        if state.closed {
            Err(LogError::Closed)
        } else {
            Ok(state)
        }
    }
}

#[async_trait]
impl LogStore for MemoryLogStore {
    async fn append(&self, lines: Vec<NewLine>) -> Result<(), LogError> {
        let mut state = self.open()?;
        for line in lines {
            let id = line.request_id;
            let (tally, log) = state.logs.entry(id).or_default();
            let mut placed = Vec::new();
            tally.place(line, &mut placed);
            log.extend(placed.into_iter().map(|placed| placed.line));
            self.followers.tell(id, tally.seq);
        }
        Ok(())
    }

    async fn read(
        &self,
        id: RequestId,
        after_seq: u64,
        limit: usize,
    ) -> Result<Vec<LogLine>, LogError> {
        let state = self.open()?;
        let log = state.logs.get(&id).map_or(&[][..], |(_, log)| log);
        let after = log.iter().filter(|line| line.seq > after_seq);
        let mut fill = Fill::default();
        let those = after.take(limit).take_while(|line| fill.takes(line));
        Ok(those.cloned().collect())
    }

    async fn last_seq(&self, id: RequestId) -> Result<u64, LogError> {
        let state = self.open()?;
        Ok(state.logs.get(&id).map_or(0, |(tally, _)| tally.seq))
    }

    async fn last_origin(&self, id: RequestId) -> Result<u64, LogError> {
        let state = self.open()?;
        Ok(state.logs.get(&id).map_or(0, |(tally, _)| tally.origin))
    }

    async fn changed(&self, id: RequestId, after_seq: u64) {
        let mut follower = self.followers.follow(id);
        if matches!(self.read(id, after_seq, 1).await, Ok(lines) if lines.is_empty()) {
            follower.beyond(after_seq).await;
        }
    }

    async fn flush(&self) -> Result<(), LogError> {
        self.open().map(drop)
    }

    async fn purge(&self, before: Timestamp, spared: Option<RequestId>) -> Result<u64, LogError> {
        const DAY_MILLIS: i64 = 86_400_000;
        let day = |id: &RequestId| id.timestamp().as_millis().div_euclid(DAY_MILLIS);
        let mut state = self.open()?;
        let mut newest: HashMap<i64, Timestamp> = HashMap::new();
        for (id, (_, log)) in &state.logs {
            for line in log {
                let newest = newest.entry(day(id)).or_insert(line.at);
                *newest = line.at.max(*newest);
            }
        }
        let over = |at: &i64, newest: &Timestamp| {
            let is_spared = spared.is_some_and(|id| day(&id) <= *at);
            !is_spared && *newest < before && (at + 1) * DAY_MILLIS <= before.as_millis()
        };
        newest.retain(|day, newest| over(day, newest));
        state.logs.retain(|id, _| !newest.contains_key(&day(id)));
        Ok(newest.len() as u64)
    }

    async fn close(&self) {
        lock(&self.logs).closed = true;
        self.followers.close();
    }
}
