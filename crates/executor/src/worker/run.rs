//! One run on an instance: it gets one, offers it the event, and waits for the answer.

use std::os::unix::process::ExitStatusExt;
use std::pin::Pin;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::task::JoinError;
use tokio::time::{Instant, sleep_until, timeout};
use tokio_util::sync::CancellationToken;
use tripline_model::lock;

use super::claimed::{ClaimedInstance, LateInstance, PendingClaim};
use super::event_slot::{Answer, Event, Report, SlotState};
use super::exit::{answer_end, within_limits, without_result};
use super::pool::Pool;
use super::warm::Slot;
use crate::instance::{Exit, HUNG_START_TIMEOUT, How, Instance, Job, StartError};
use crate::protocol::Credentials;

/// Instances that may end between two runs before one of them is taken for a failure of this run.
const MAX_REPLACED: u32 = 3;

/// One run on an instance.
pub(super) struct WorkerRun {
    pool: Arc<Pool>,
    job: Job,
    /// When it will be stopped.
    deadline: Instant,
    claimed: Option<ClaimedInstance>,
    /// Its place in the queue for a slot: kept when the waiting is broken off, or later runs would go first.
    slot_queue: Option<Pin<Box<dyn Future<Output = Slot> + Send>>>,
    /// The claim of its instance, while it is under way.
    pending_claim: Option<PendingClaim>,
    /// The latest credentials that came while it ran.
    renewed: Mutex<Option<Credentials>>,
    /// Set once it is over.
    cause: Option<EndCause>,
    killed: CancellationToken,
    /// It was asked to end: an instance that got SIGTERM is not used again.
    asked_to_end: AtomicBool,
    replaced: u32,
}

/// Why a run ended.
enum EndCause {
    Answered,
    Exited(ExitStatus),
    InitFailed,
    InitTimeout,
    /// It never had an instance.
    NotStarted(StartError),
    Killed,
}

// === impl WorkerRun ===

impl WorkerRun {
    /// A run with an instance, if one is to be had now; otherwise it waits for one in [`Instance::wait`].
    pub(super) async fn begin(pool: Arc<Pool>, job: Job) -> Result<Self, StartError> {
        let slot = pool.slots.clone().try_acquire_owned();
        let deadline = Instant::now() + Duration::from_millis(job.start.timeout_ms);
        let mut run = Self {
            pool,
            job,
            deadline,
            claimed: None,
            slot_queue: None,
            pending_claim: None,
            renewed: Mutex::default(),
            cause: None,
            killed: CancellationToken::new(),
            asked_to_end: AtomicBool::new(false),
            replaced: 0,
        };
        if let Ok(slot) = slot {
            let credentials = run.job.start.credentials.as_ref();
            run.claimed =
                Some(ClaimedInstance::claim(&run.pool, credentials, &run.job.output, slot).await?);
        }
        Ok(run)
    }

    /// Waits for a slot, which those who came before get first, and for an instance.
    async fn wait_for_instance(&mut self) -> Option<EndCause> {
        if self.pending_claim.is_none() {
            let Some(slot) = self.next_slot().await else {
                return Some(EndCause::Killed);
            };
            let (pool, output) = (self.pool.clone(), self.job.output.clone());
            let credentials = self.latest_credentials();
            let claim = async move {
                ClaimedInstance::claim(&pool, credentials.as_ref(), &output, slot).await
            };
            self.pending_claim = Some(self.pool.tasks.spawn(claim));
        }
        let came = tokio::select! {
            biased;
            () = self.killed.cancelled() => return Some(EndCause::Killed),
            came = self.pending_claim.as_mut()? => came,
        };
        self.pending_claim = None;
        self.took(came).map(EndCause::NotStarted)
    }

    /// A slot, when it is this run's turn; `None` once it is killed.
    async fn next_slot(&mut self) -> Option<Slot> {
        let slots = self.pool.slots.clone();
        let slot_queue = self.slot_queue.get_or_insert_with(|| {
            Box::pin(async { slots.acquire_owned().await.expect("nobody closes it") })
        });
        let slot = tokio::select! {
            biased;
            () = self.killed.cancelled() => None,
            slot = slot_queue => Some(slot),
        };
        self.slot_queue = None;
        slot
    }

    /// Those that came last, or those that it was started with.
    fn latest_credentials(&self) -> Option<Credentials> {
        let renewed = lock(&self.renewed);
        renewed
            .clone()
            .or_else(|| self.job.start.credentials.clone())
    }

    /// Whatever came of the claim; the instance gets credentials that came meanwhile.
    fn took(
        &mut self,
        came: Result<Result<ClaimedInstance, StartError>, JoinError>,
    ) -> Option<StartError> {
        match came {
            Ok(Ok(claimed)) => {
                if let Some(credentials) = self.latest_credentials() {
                    claimed.warm.set_credentials(&credentials);
                }
                self.claimed = Some(claimed);
                None
            }
            Ok(Err(error)) => Some(error),
            Err(panicked) => Some(StartError::Spawn(std::io::Error::other(panicked))),
        }
    }

    /// One step on the way, or the end of it.
    async fn step(&mut self) -> Option<EndCause> {
        let Some(claimed) = &self.claimed else {
            return self.wait_for_instance().await;
        };
        let event_slot = &claimed.warm.event_slot;
        match event_slot.state() {
            SlotState::Answered => return Some(EndCause::Answered),
            SlotState::InitFailed => return Some(EndCause::InitFailed),
            SlotState::Exited(status) => return self.after_exit(status),
            SlotState::Free => event_slot.offer(self.event()),
            SlotState::Starting => tokio::select! {
                () = event_slot.changed() => {}
                () = self.killed.cancelled() => return Some(EndCause::Killed),
                () = sleep_until(claimed.warm.init_deadline) => return Some(EndCause::InitTimeout),
            },
            SlotState::Offered | SlotState::Taken => tokio::select! {
                () = event_slot.changed() => {}
                () = self.killed.cancelled() => return Some(EndCause::Killed),
            },
        }
        None
    }

    /// Takes the instance that is being made, now that the run is over, or leaves it to whoever looks after what
    /// remains.
    async fn last_wait(&mut self) -> Option<LateInstance> {
        let mut pending_claim = self.pending_claim.take()?;
        let Ok(came) = timeout(HUNG_START_TIMEOUT, &mut pending_claim).await else {
            return Some(LateInstance(pending_claim));
        };
        // Its error changes nothing: the run was over before it.
        let _ = self.took(came);
        None
    }

    fn event(&self) -> Arc<Event> {
        let start = &self.job.start;
        Arc::new(Event {
            id: start.run.clone(),
            data: self.job.data.clone(),
            deadline_ms: start.deadline_ms,
            deadline: self.deadline,
            max_answer_bytes: usize::try_from(start.max_result_bytes).unwrap_or(usize::MAX),
            traceparent: start.variables.get("TRACEPARENT").cloned(),
        })
    }

    /// An instance that was ready and ended before it took the event had nothing to do with this run: another one gets
    /// the event, for the first time.
    fn after_exit(&mut self, status: ExitStatus) -> Option<EndCause> {
        let stopped = self.asked_to_end.load(Ordering::Relaxed) || self.killed.is_cancelled();
        let replaceable = !stopped && self.replaced < MAX_REPLACED;
        // Only what nobody can take any more goes to another instance: what the process left running still asks.
        let untouched =
            |claimed: &ClaimedInstance| claimed.was_ready && claimed.warm.event_slot.withdraw();
        if !replaceable || !self.claimed.as_ref().is_some_and(untouched) {
            return Some(EndCause::Exited(status));
        }
        self.replaced += 1;
        if let Some(claimed) = self.claimed.take() {
            claimed.warm.discard(Some(claimed.slot));
        }
        None
    }

    /// The end of a run that may leave its instance for the next.
    async fn answered(&mut self, claimed: ClaimedInstance, response: Bytes) -> Exit {
        let warm = claimed.warm;
        let peak_memory = warm.memory.peak();
        warm.tap.detach().await;
        let mut exit = Exit {
            result: response,
            peak_memory,
            ..without_result(How::Answered)
        };
        if self.asked_to_end.load(Ordering::Relaxed) || self.killed.is_cancelled() {
            if let Some(mut ended) = warm.end(claimed.slot).await {
                exit.remains = ended.remains();
            }
        } else {
            self.pool.put_back(warm, claimed.slot);
        }
        exit
    }

    /// The end of a run that its instance does not survive.
    async fn ended(
        &mut self,
        claimed: ClaimedInstance,
        answer: Result<Answer, bool>,
        cause: EndCause,
    ) -> Exit {
        let report = claimed.warm.event_slot.init_error();
        let ended = claimed.warm.end(claimed.slot).await;
        let mut exit = match answer {
            Ok(answer) => answer_end(answer, self.job.start.max_result_bytes),
            Err(taken) => without_result(self.silent_end(cause, taken, report)),
        };
        let Some(mut ended) = ended else {
            return exit;
        };
        exit.remains = ended.remains();
        exit.peak_memory = ended.reclaimed.peak_memory;
        exit.how = within_limits(exit.how, ended.reclaimed.how);
        exit
    }

    fn silent_end(&self, cause: EndCause, taken: bool, report: Option<Report>) -> How {
        let failed = |detail| How::NotReady {
            reason: "init_failed",
            detail,
        };
        match cause {
            EndCause::Exited(status) if taken => How::Crashed {
                code: status.code(),
                signal: status.signal(),
            },
            EndCause::Exited(status) => failed(format!(
                "the instance ended before it took the event ({status})"
            )),
            EndCause::InitFailed => failed(match report {
                Some(report) => format!("{}: {}", report.kind, report.message),
                None => "the instance reported an error".to_owned(),
            }),
            EndCause::InitTimeout => How::NotReady {
                reason: "init_timeout",
                detail: format!(
                    "the instance did not ask for an event within {} ms",
                    self.pool.worker.init_timeout_ms
                ),
            },
            EndCause::NotStarted(error) => How::NotReady {
                reason: "start_failed",
                detail: error.to_string(),
            },
            EndCause::Killed if !taken => How::NotReady {
                reason: "start_failed",
                detail: "it was stopped before an instance took the event".to_owned(),
            },
            EndCause::Answered | EndCause::Killed => How::Crashed {
                code: None,
                signal: None,
            },
        }
    }
}

#[async_trait]
impl Instance for WorkerRun {
    fn request_stop(&self) {
        self.asked_to_end.store(true, Ordering::Relaxed);
        match &self.claimed {
            Some(claimed) => claimed.warm.request_stop(),
            // Nothing runs that could end well.
            None => self.killed.cancel(),
        }
    }

    fn kill(&self) {
        self.killed.cancel();
        if let Some(claimed) = &self.claimed {
            claimed.warm.kill();
        }
    }

    fn renew(&self, credentials: &Credentials) -> std::io::Result<()> {
        if let Some(claimed) = &self.claimed {
            claimed.warm.set_credentials(credentials);
        }
        // For an instance that is still to come.
        let mut renewed = lock(&self.renewed);
        *renewed = Some(credentials.clone());
        Ok(())
    }

    async fn wait(&mut self) {
        while self.cause.is_none() {
            self.cause = self.step().await;
        }
    }

    async fn reclaim(&mut self) -> Exit {
        let cause = self.cause.take().unwrap_or(EndCause::Killed);
        let late = self.last_wait().await;
        let Some(claimed) = self.claimed.take() else {
            let mut exit = without_result(self.silent_end(cause, false, None));
            exit.remains = late.map(|late| Box::new(late) as _);
            return exit;
        };
        // The kernel counts over the whole life of an instance: used again, it would be the next run's fault.
        let exceeded = claimed.warm.memory.exceeded();
        match claimed.warm.event_slot.clear() {
            Ok(Answer::Response(response)) if !exceeded => self.answered(claimed, response).await,
            answer => self.ended(claimed, answer, cause).await,
        }
    }
}

impl Drop for WorkerRun {
    fn drop(&mut self) {
        if let Some(claimed) = self.claimed.take() {
            claimed.warm.discard(Some(claimed.slot));
        }
    }
}
