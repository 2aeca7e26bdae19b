//! What all timers share while any of them runs: the bell, and the one scheduler job that makes it look at the wall
//! clock once a second.
//!
//! The bell sleeps until the exact instant. What a sleep cannot see is a wall clock that is set; the beat shows it
//! within a second. Nothing else hangs on the scheduler: its poll of 500 ms, or its end, delays no tick.

use std::sync::Arc;

use tokio::sync::{Mutex, mpsc, watch};
use tokio::task::JoinSet;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use tripline_model::Clock;

use crate::bell::{Armed, ring};

/// Ticks on their way to the bell.
const ON_THEIR_WAY: usize = 64;

/// Beats once a second, and rings the bell, while somebody listens.
pub(crate) struct Heartbeat {
    beat: watch::Sender<()>,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    count: usize,
    scheduler: Option<JobScheduler>,
    bell: Option<mpsc::Sender<Armed>>,
    ringing: JoinSet<()>,
}

// === impl Heartbeat ===

impl Default for Heartbeat {
    fn default() -> Self {
        Self {
            beat: watch::Sender::new(()),
            listeners: Mutex::default(),
        }
    }
}

impl Heartbeat {
    /// Starts to listen: gives the place where ticks wait for their instant. Each call is followed by one of
    /// [`Heartbeat::leave`]. All listeners have the same clock.
    pub(crate) async fn join(&self, clock: &Arc<dyn Clock>) -> mpsc::Sender<Armed> {
        let mut listeners = self.listeners.lock().await;
        listeners.count += 1;
        if listeners.scheduler.is_none() {
            match self.start().await {
                Ok(scheduler) => listeners.scheduler = Some(scheduler),
                Err(error) => tracing::warn!(
                    %error,
                    "the scheduler does not start: timers work, but notice a changed clock later"
                ),
            }
        }
        let bell = listeners.bell.take().unwrap_or_else(|| {
            let (bell, armed) = mpsc::channel(ON_THEIR_WAY);
            let ringing = ring(armed, self.beat.subscribe(), Arc::clone(clock));
            listeners.ringing.spawn(ringing);
            bell
        });
        listeners.bell = Some(bell.clone());
        bell
    }

    /// Stops to listen, with its bell dropped; the last one stops the bell and the scheduler.
    pub(crate) async fn leave(&self) {
        let mut listeners = self.listeners.lock().await;
        listeners.count = listeners.count.saturating_sub(1);
        if listeners.count > 0 {
            return;
        }
        listeners.bell = None;
        while listeners.ringing.join_next().await.is_some() {}
        if let Some(mut scheduler) = listeners.scheduler.take()
            && let Err(error) = scheduler.shutdown().await
        {
            tracing::warn!(%error, "the scheduler does not stop");
        }
    }

    /// Makes the bell look at the clock now.
    #[cfg(test)]
    pub(crate) fn beat(&self) {
        self.beat.send_replace(());
    }

    async fn start(&self) -> Result<JobScheduler, JobSchedulerError> {
        let scheduler = JobScheduler::new().await?;
        let beat = self.beat.clone();
        let every_second = Job::new("* * * * * *", move |_, _| {
            beat.send_replace(());
        })?;
        scheduler.add(every_second).await?;
        scheduler.start().await?;
        Ok(scheduler)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tripline_model::{ManualClock, Timestamp};

    use super::*;

    #[tokio::test]
    async fn beats_for_all_while_somebody_listens() {
        let heartbeat = Heartbeat::default();
        let clock: Arc<dyn Clock> = Arc::new(ManualClock::at(Timestamp::from_millis(0)));
        let (first, second) = (heartbeat.join(&clock).await, heartbeat.join(&clock).await);
        let patience = Duration::from_secs(20);
        let mut beats = heartbeat.beat.subscribe();
        let beat = tokio::time::timeout(patience, beats.changed()).await;
        beat.expect("a beat comes every second")
            .expect("the heart lives");
        drop((first, second));
        heartbeat.leave().await;
        assert_eq!(heartbeat.listeners.lock().await.ringing.len(), 1);
        assert!(heartbeat.listeners.lock().await.scheduler.is_some());
        heartbeat.leave().await;
        let listeners = heartbeat.listeners.lock().await;
        assert!(listeners.scheduler.is_none() && listeners.ringing.is_empty());
    }
}
