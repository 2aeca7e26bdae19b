//! Deadline, stop and kill, on a clock that the test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::script::{Actor, Script};
use super::{NOW, clock, request_id, spec, start};
use crate::instance::{Exit, How, Instance, Job, StartError, Starter};
use crate::protocol::{Credentials, Outcome, RunEnd, StopHow, Value};
use crate::server::outbox::Outbox;
use crate::server::ready::Ready;
use crate::server::run_control::{RunControl, run_control};
use crate::server::watch::{RunResult, run_to_end};

/// A run of a minute at most, and five seconds of grace.
async fn run() -> (Actor, RunControl, JoinSet<RunResult>) {
    let (control, control_receiver) = run_control();
    let (script, mut actors) = Script::new();
    let mut over = JoinSet::new();
    over.spawn(async move {
        let job = job("f");
        run_to_end(Arc::new(script), job, control_receiver, clock().as_ref()).await
    });
    (actors.recv().await.unwrap(), control, over)
}

fn job(function: &str) -> Job {
    let start = start(1, function);
    let spill = std::path::Path::new("/nowhere");
    let ready = Arc::new(Ready::default());
    let output = Outbox::new(request_id(1), &start, spill, ready, clock());
    Job {
        id: request_id(1),
        spec: Arc::new(spec(function)),
        start,
        data: Bytes::new(),
        output: Arc::new(output),
    }
}

async fn outcome(mut over: JoinSet<RunResult>) -> Outcome {
    over.join_next().await.unwrap().unwrap().outcome
}

fn kill() -> StopHow {
    StopHow::Kill("hub_stopped".to_owned())
}

#[tokio::test(start_paused = true)]
async fn a_run_over_its_time_is_asked_gets_its_grace_and_is_killed() {
    let (actor, _control, over) = run().await;
    let began = Instant::now();
    actor.wait_for_requests(&["request_stop"]).await;
    assert_eq!(began.elapsed().as_secs(), 60);
    actor.wait_for_requests(&["request_stop", "kill"]).await;
    assert_eq!(began.elapsed().as_secs(), 65);
    let outcome = outcome(over).await;
    assert_eq!(
        (outcome.end, outcome.reason.as_str()),
        (RunEnd::TimedOut, "timeout")
    );
    assert_eq!(outcome.duration_ms, 65_000);
    assert_eq!(outcome.signal, Some(9));
    assert_eq!(outcome.at_ms, NOW.as_millis());
    assert_eq!(outcome.peak_memory_bytes, Some(3 << 20));
}

#[tokio::test(start_paused = true)]
async fn ending_well_after_the_deadline_is_still_timed_out() {
    let (actor, control, over) = run().await;
    actor.wait_for_requests(&["request_stop"]).await;
    // A stop that comes too late changes nothing of why it ends.
    control.stop(StopHow::Graceful);
    actor
        .wait_for_requests(&["request_stop", "request_stop"])
        .await;
    actor.end_well("");
    assert_eq!(outcome(over).await.end, RunEnd::TimedOut);
}

#[tokio::test(start_paused = true)]
async fn a_polite_stop_may_end_well() {
    let (actor, control, over) = run().await;
    control.stop(StopHow::Graceful);
    actor.wait_for_requests(&["request_stop"]).await;
    sleep(Duration::from_secs(30)).await;
    actor.wait_for_requests(&["request_stop"]).await;
    actor.end_well("");
    assert_eq!(outcome(over).await.end, RunEnd::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn a_polite_stop_that_ends_badly_is_terminated() {
    let (actor, control, over) = run().await;
    control.stop(StopHow::Graceful);
    actor.wait_for_requests(&["request_stop"]).await;
    actor.end(How::Exited(143));
    let outcome = outcome(over).await;
    assert_eq!(
        (outcome.end, outcome.reason.as_str()),
        (RunEnd::Terminated, "terminated")
    );
    assert_eq!(outcome.exit_code, Some(143));
}

#[tokio::test(start_paused = true)]
async fn a_kill_gives_its_reason() {
    let (actor, control, over) = run().await;
    control.stop(StopHow::Graceful);
    actor.wait_for_requests(&["request_stop"]).await;
    control.stop(kill());
    actor.wait_for_requests(&["request_stop", "kill"]).await;
    let outcome = outcome(over).await;
    assert_eq!(
        (outcome.end, outcome.reason.as_str()),
        (RunEnd::Terminated, "hub_stopped")
    );
}

#[tokio::test(start_paused = true)]
async fn a_kill_before_the_start_starts_nothing() {
    let (control, control_receiver) = run_control();
    control.stop(kill());
    let (script, mut actors) = Script::new();
    let over = run_to_end(
        Arc::new(script),
        job("f"),
        control_receiver,
        clock().as_ref(),
    )
    .await;
    assert_eq!(over.outcome.end, RunEnd::Terminated);
    assert!(actors.recv().await.is_none(), "it was started");
}

/// A run whose start hangs until the test lets it go on.
struct HungRun {
    script: Script,
    actors: mpsc::Receiver<Actor>,
    control: RunControl,
    over: JoinSet<RunResult>,
}

fn hung_run() -> HungRun {
    let (control, control_receiver) = run_control();
    let (script, actors) = Script::new();
    let mut over = JoinSet::new();
    let starter = Arc::new(script.clone());
    over.spawn(async move {
        run_to_end(starter, job("hangs"), control_receiver, clock().as_ref()).await
    });
    HungRun {
        script,
        actors,
        control,
        over,
    }
}

#[tokio::test(start_paused = true)]
async fn a_start_that_hangs_ends_at_the_deadline_and_what_comes_of_it_is_killed() {
    let mut run = hung_run();
    let began = Instant::now();
    let over = run.over.join_next().await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 65);
    assert_eq!(
        (over.outcome.end, over.outcome.reason.as_str()),
        (RunEnd::TimedOut, "maybe_started")
    );
    let mut remains = over.remains.unwrap();
    assert!(
        timeout(Duration::from_secs(3600), remains.gone())
            .await
            .is_err()
    );
    run.script.go_on.add_permits(1);
    remains.gone().await;
    let actor = run.actors.recv().await.unwrap();
    actor.wait_for_requests(&["kill"]).await;
    actor.dropped().await;
}

#[tokio::test(start_paused = true)]
async fn a_kill_does_not_wait_for_a_start_that_hangs() {
    let mut run = hung_run();
    run.control.stop(StopHow::Graceful);
    sleep(Duration::from_secs(20)).await;
    let began = Instant::now();
    run.control.stop(kill());
    let over = run.over.join_next().await.unwrap().unwrap();
    assert_eq!(began.elapsed().as_secs(), 5);
    assert_eq!(
        (over.outcome.end, over.outcome.reason.as_str()),
        (RunEnd::Terminated, "maybe_started")
    );
    assert!(over.remains.is_some());
}

#[tokio::test(start_paused = true)]
async fn a_start_that_is_only_slow_learns_what_it_missed() {
    for (stop, after, request, end) in [
        (
            Some(StopHow::Graceful),
            1,
            "request_stop",
            RunEnd::Terminated,
        ),
        (Some(kill()), 1, "kill", RunEnd::Terminated),
        (None, 63, "request_stop", RunEnd::TimedOut),
    ] {
        let mut run = hung_run();
        sleep(Duration::from_millis(1)).await;
        if let Some(how) = stop {
            run.control.stop(how);
        }
        sleep(Duration::from_secs(after)).await;
        run.script.go_on.add_permits(1);
        let actor = run.actors.recv().await.unwrap();
        actor.wait_for_requests(&[request]).await;
        actor.end(How::Signaled(15));
        assert_eq!(outcome(run.over).await.end, end);
    }
}

#[tokio::test(start_paused = true)]
async fn new_credentials_reach_the_run() {
    let (actor, control, over) = run().await;
    control.renew(Credentials {
        access_key: "AK2".to_owned(),
        secret_key: Value::new("s"),
        session_token: Value::new("t"),
        expires_ms: 0,
    });
    actor.wait_for_requests(&["renew AK2"]).await;
    actor.end_well("");
    assert_eq!(outcome(over).await.end, RunEnd::Succeeded);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_end_has_its_reason() {
    let not_ready = How::NotReady {
        reason: "init_timeout",
        detail: "it took too long".to_owned(),
    };
    let reported = How::Reported {
        kind: "ValueError".to_owned(),
        message: "no".to_owned(),
    };
    let crashed = How::Crashed {
        code: None,
        signal: Some(11),
    };
    let table = [
        (How::Exited(0), "exit_code", None),
        (How::Answered, "answered", None),
        (
            How::Exited(3),
            "exit_code",
            Some("the process ended with code 3"),
        ),
        (
            How::Signaled(9),
            "signal",
            Some("signal 9 ended the process"),
        ),
        (
            How::MemoryLimit,
            "memory_limit",
            Some("it used more memory than its limit"),
        ),
        (
            How::Unbounded("no".to_owned()),
            "not_isolated",
            Some("`isolation = \"required\"`, but it could not be put within its bounds: no"),
        ),
        (reported, "reported", Some("ValueError: no")),
        (
            crashed,
            "crashed",
            Some("the worker gave no answer: signal 11 ended it"),
        ),
        (not_ready, "init_timeout", Some("it took too long")),
        (
            How::ResultTooLarge,
            "result_too_large",
            Some("the answer is larger than the function's `max_result`"),
        ),
    ];
    for (how, reason, detail) in table {
        let (actor, _control, over) = run().await;
        actor.end(how.clone());
        let outcome = outcome(over).await;
        assert_eq!(outcome.reason, reason, "{how:?}");
        assert_eq!(outcome.detail.as_deref(), detail, "{how:?}");
        let well = outcome.end == RunEnd::Succeeded;
        assert_eq!(well, detail.is_none(), "{how:?}");
    }
}

/// A run whose end comes to light when it is waited for once more, and not before its deadline.
struct Unnoticed {
    waits: usize,
    was_asked: Arc<AtomicBool>,
}

/// Starts it. `was_asked` is whether anything was asked of it.
struct Late {
    waits: usize,
    was_asked: Arc<AtomicBool>,
}

#[async_trait]
impl Starter for Late {
    async fn start(&self, _job: Job) -> Result<Box<dyn Instance>, StartError> {
        let (waits, was_asked) = (self.waits, self.was_asked.clone());
        Ok(Box::new(Unnoticed { waits, was_asked }))
    }
}

#[async_trait]
impl Instance for Unnoticed {
    fn request_stop(&self) {
        self.was_asked.store(true, Ordering::SeqCst);
    }

    fn kill(&self) {
        self.request_stop();
    }

    fn renew(&self, _credentials: &Credentials) -> std::io::Result<()> {
        Ok(())
    }

    async fn wait(&mut self) {
        match self.waits {
            0 => {}
            // At the very moment of the deadline.
            1 => sleep(Duration::from_secs(60)).await,
            _ => {
                self.waits = 0;
                std::future::pending().await
            }
        }
    }

    async fn reclaim(&mut self) -> Exit {
        Exit {
            how: How::Exited(0),
            result: Bytes::new(),
            result_cut: false,
            peak_memory: None,
            remains: None,
        }
    }
}

/// So it is for an executor that was stopped over both.
#[tokio::test(start_paused = true)]
async fn who_ended_before_anybody_saw_that_its_time_was_over_is_not_timed_out() {
    for waits in [1, 2] {
        for _often in 0..30 {
            let was_asked = Arc::new(AtomicBool::new(false));
            let starter = Arc::new(Late {
                waits,
                was_asked: was_asked.clone(),
            });
            let (_control, control_receiver) = run_control();
            let over = run_to_end(starter, job("f"), control_receiver, clock().as_ref()).await;
            assert_eq!(over.outcome.end, RunEnd::Succeeded);
            assert!(!was_asked.load(Ordering::SeqCst));
        }
    }
}
