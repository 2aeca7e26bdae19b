//! The one scheduler job that all timers share: once a second it makes each look at the wall clock.
//!
//! Timers sleep on their own until their exact instant. What a sleep cannot see is a wall clock that is set; the beat
//! shows it within a second. Nothing else hangs on the scheduler: its poll of 500 ms, or its end, delays no tick.

use tokio::sync::{Mutex, watch};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

/// Beats once a second while somebody listens.
pub(crate) struct Heartbeat {
    beat: watch::Sender<()>,
    listeners: Mutex<Listeners>,
}

#[derive(Default)]
struct Listeners {
    count: usize,
    scheduler: Option<JobScheduler>,
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
    /// Starts to listen. Each call is followed by one of [`Heartbeat::leave`].
    pub(crate) async fn join(&self) -> watch::Receiver<()> {
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
        self.beat.subscribe()
    }

    /// Stops to listen; the last one stops the scheduler.
    pub(crate) async fn leave(&self) {
        let mut listeners = self.listeners.lock().await;
        listeners.count = listeners.count.saturating_sub(1);
        if listeners.count == 0
            && let Some(mut scheduler) = listeners.scheduler.take()
            && let Err(error) = scheduler.shutdown().await
        {
            tracing::warn!(%error, "the scheduler does not stop");
        }
    }

    /// Makes every listener look at the clock now.
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

    use super::*;

    #[tokio::test]
    async fn beats_for_all_while_somebody_listens() {
        let heartbeat = Heartbeat::default();
        let (mut first, mut second) = (heartbeat.join().await, heartbeat.join().await);
        let patience = Duration::from_secs(20);
        for beats in [&mut first, &mut second] {
            let beat = tokio::time::timeout(patience, beats.changed()).await;
            beat.expect("a beat comes every second")
                .expect("the heart lives");
        }
        heartbeat.leave().await;
        assert!(heartbeat.listeners.lock().await.scheduler.is_some());
        heartbeat.leave().await;
        assert!(heartbeat.listeners.lock().await.scheduler.is_none());
    }
}
