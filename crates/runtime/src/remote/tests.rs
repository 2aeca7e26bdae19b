//! Between dispatcher and executor: what is passed on, what is confirmed, and in which order.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tripline_executor::client::{NumberedLine, RunEvent};
use tripline_executor::protocol::{self, RunEnd, Value};
use tripline_model::{Clock, End, Ending, FunctionName, LogStream, ManualClock, RequestId};

use super::Remote;
use super::script::{Script, ended};
use crate::attributes::Attributes;
use crate::tests::support::{Kept, NOW, clock, function, invocation, start};
use crate::{CredentialProvider, EventFormat, Start, Stop, render, stop_channel};

struct World {
    script: Arc<Script>,
    clock: Arc<ManualClock>,
    remote: Arc<Remote>,
}

/// Gives a new key each time, for ten minutes; none when it is told so.
struct Provider {
    clock: Arc<ManualClock>,
    given: AtomicI64,
}

#[async_trait]
impl CredentialProvider for Provider {
    async fn credentials(&self, _: &FunctionName) -> Result<Option<protocol::Credentials>, String> {
        let number = self.given.fetch_add(1, Ordering::SeqCst);
        if number < 0 {
            return Err("the STS endpoint says no".to_owned());
        }
        Ok(Some(protocol::Credentials {
            access_key: format!("K{number}"),
            secret_key: Value::new("s"),
            session_token: Value::new("t"),
            expires_ms: self.clock.now().as_millis() + 600_000,
        }))
    }
}

impl World {
    fn new(first_key: Option<i64>) -> Self {
        let (script, clock) = (Script::new(), clock());
        let provider = first_key.map(|first| {
            Arc::new(Provider {
                clock: clock.clone(),
                given: AtomicI64::new(first),
            }) as Arc<dyn CredentialProvider>
        });
        let formats = [(
            FunctionName::new("listens").unwrap(),
            EventFormat::CloudEvents,
        )]
        .into();
        let remote = Remote::over(
            script.clone(),
            clock.clone() as Arc<dyn Clock>,
            provider,
            formats,
        );
        Self {
            script,
            clock,
            remote: Arc::new(remote),
        }
    }

    /// Waits until the executor got this call.
    async fn wait_for_call(&self, words: &str) {
        let seen = async {
            while !self.script.calls().iter().any(|call| call == words) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(10), seen).await;
        assert!(
            seen.is_ok(),
            "{words} was not called: {:?}",
            self.script.calls()
        );
    }
}

fn a_start(output: &Arc<Kept>) -> (RequestId, Start) {
    let function = function("listens");
    let invocation = invocation(&function);
    let id = invocation.request_id;
    (id, start(invocation, function, output.clone()))
}

fn lines(numbers: std::ops::RangeInclusive<u64>) -> RunEvent {
    let line = |number| NumberedLine {
        number,
        at: NOW,
        stream: LogStream::Stdout,
        text: Bytes::from(format!("line {number}")),
        complete: true,
    };
    RunEvent::Lines(numbers.map(line).collect())
}

fn lost(reclaimed: bool) -> RunEvent {
    let why = "killed by signal 9".to_owned();
    RunEvent::Lost { why, reclaimed }
}

/// What the future gives without waiting.
async fn poll_once<T>(future: impl Future<Output = T>) -> Option<T> {
    tokio::select! {
        biased;
        done = future => Some(done),
        () = std::future::ready(()) => None,
    }
}

async fn both(run: impl Future<Output = Ending>, script: impl Future<Output = ()>) -> Ending {
    tokio::join!(run, script).0
}

#[tokio::test]
async fn lines_are_confirmed_when_they_are_kept_and_the_end_comes_after_them() {
    let (world, output) = (World::new(None), Kept::new());
    let (id, start) = a_start(&output);
    let event = render(&start.invocation, EventFormat::CloudEvents);
    let (_stopper, signal) = stop_channel();
    let run = world.remote.run(start, Attributes::default(), signal);
    let ending = both(run, async {
        tokio::task::yield_now().await;
        assert_eq!(*world.script.data.lock().unwrap(), event);
        world.script.emit(id, lines(1..=2));
        world.wait_for_call("kept 2").await;
        assert_eq!(output.texts(), ["line 1", "line 2"]);
        world.script.emit(id, lines(3..=3));
        let result = Bytes::from_static(b"r");
        world
            .script
            .emit(id, ended(RunEnd::Succeeded, "exit_code", result, true));
    })
    .await;
    assert_eq!(output.texts(), ["line 1", "line 2", "line 3"]);
    let expected = Ending {
        duration_ms: Some(12),
        peak_memory_bytes: Some(4096),
        memory_limit_bytes: Some(8192),
        result: Some(Bytes::from_static(b"r")),
        ..Ending::new(
            End::Succeeded,
            tripline_model::Timestamp::from_millis(7_000),
            "exit_code",
        )
    };
    assert_eq!(ending, expected);
    assert!(
        !world.script.calls().contains(&"forget".to_owned()),
        "not yet"
    );
    assert!(
        poll_once(world.remote.reclaim(id)).await.is_some(),
        "at once"
    );
    let calls = world.script.calls();
    assert_eq!(calls.first().map(String::as_str), Some("kept 2"));
    assert_eq!(calls.last().map(String::as_str), Some("forget"));
}

#[tokio::test(start_paused = true)]
async fn an_end_waits_for_the_lines_before_it_and_a_silent_run_for_nothing() {
    for (writes, ends) in [(false, true), (true, false)] {
        let (world, output) = (World::new(None), Kept::new());
        output.stuck.store(true, Ordering::Relaxed);
        let (id, start) = a_start(&output);
        let (_stopper, signal) = stop_channel();
        let run = world.remote.run(start, Attributes::default(), signal);
        let run = both(run, async {
            tokio::task::yield_now().await;
            if writes {
                world.script.emit(id, lines(1..=1));
            }
            let end = ended(RunEnd::Succeeded, "exit_code", Bytes::new(), true);
            world.script.emit(id, end);
        });
        let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
        assert_eq!(ended.is_ok(), ends, "it writes: {writes}");
    }
}

#[tokio::test]
async fn what_is_not_gone_is_waited_for_before_it_is_forgotten() {
    let (world, output) = (World::new(None), Kept::new());
    let (id, start) = a_start(&output);
    let (_stopper, signal) = stop_channel();
    let run = world.remote.run(start, Attributes::default(), signal);
    let ending = both(run, async {
        tokio::task::yield_now().await;
        world
            .script
            .emit(id, ended(RunEnd::Failed, "signal", Bytes::new(), false));
    })
    .await;
    assert_eq!(ending.end, End::Failed);
    let mut reclaim = Box::pin(world.remote.reclaim(id));
    assert!(poll_once(reclaim.as_mut()).await.is_none());
    assert!(world.script.calls().is_empty());
    world.script.emit(id, RunEvent::Reclaimed);
    reclaim.await;
    assert_eq!(world.script.calls(), ["forget"]);
}

#[tokio::test]
async fn a_resumed_run_goes_on_behind_its_last_line_and_can_be_stopped() {
    let (world, output) = (World::new(None), Kept::new());
    let (id, start) = a_start(&output);
    world.script.hold(id);
    assert_eq!(world.remote.held()[0].request_id, id);
    output.numbers.lock().unwrap().push(4);
    let (stopper, signal) = stop_channel();
    let run = world.remote.resume(start, signal);
    let ending = both(run, async {
        world.wait_for_call("attach 4").await;
        world.script.emit(id, lines(4..=5));
        world.wait_for_call("kept 5").await;
        stopper.stop(Stop::Graceful);
        world.wait_for_call("stop Graceful").await;
        stopper.stop(Stop::Kill("terminated"));
    })
    .await;
    assert_eq!(output.texts(), ["line 5"]);
    assert_eq!(
        (ending.end, ending.reason.as_str()),
        (End::Terminated, "terminated")
    );
}

#[tokio::test]
async fn the_death_of_an_executor_is_told() {
    let (world, output) = (World::new(None), Kept::new());
    let (id, start) = a_start(&output);
    let (_stopper, signal) = stop_channel();
    let run = world.remote.run(start, Attributes::default(), signal);
    let ending = both(run, async {
        tokio::task::yield_now().await;
        world.script.emit(id, lost(true));
    })
    .await;
    assert_eq!(
        (ending.end, ending.reason.as_str()),
        (End::Lost, "executor_died")
    );
    assert_eq!(ending.at, NOW);
    assert_eq!(ending.detail.as_deref(), Some("killed by signal 9"));
}

#[tokio::test]
async fn what_a_dead_executor_left_of_a_run_is_waited_for() {
    let (world, output) = (World::new(None), Kept::new());
    let (id, start) = a_start(&output);
    let (_stopper, signal) = stop_channel();
    let run = world.remote.run(start, Attributes::default(), signal);
    let ending = both(run, async {
        tokio::task::yield_now().await;
        world.script.emit(id, lost(false));
    })
    .await;
    assert_eq!(ending.end, End::Lost);
    let mut reclaim = Box::pin(world.remote.reclaim(id));
    assert!(poll_once(reclaim.as_mut()).await.is_none());
    world.script.emit(id, RunEvent::Reclaimed);
    reclaim.await;
}

#[tokio::test]
async fn a_run_that_nobody_asks_for_is_killed_and_its_lines_are_thrown_away() {
    let world = World::new(None);
    let id = RequestId::new(NOW, [9; 10]);
    world.script.hold(id);
    world.script.emit(id, lines(1..=3));
    world.remote.reclaim(id).await;
    let kill = "stop Kill(\"hub_restarted\")";
    assert_eq!(world.script.calls(), [kill, "attach 0", "kept 3", "forget"]);
    assert_eq!(world.remote.held(), []);
}

#[tokio::test]
async fn without_credentials_nothing_is_started() {
    let (world, output) = (World::new(Some(-1)), Kept::new());
    let (_, start) = a_start(&output);
    let (_stopper, signal) = stop_channel();
    let ending = world.remote.run(start, Attributes::default(), signal).await;
    assert_eq!(
        (ending.reason.as_str(), ending.ran()),
        ("start_failed", Some(false))
    );
    assert!(ending.detail.unwrap().contains("the STS endpoint says no"));
    assert!(world.script.starts.lock().unwrap().is_empty());
}

#[tokio::test(start_paused = true)]
async fn credentials_are_renewed_before_they_end() {
    let (world, output) = (World::new(Some(1)), Kept::new());
    let (id, start) = a_start(&output);
    let (_stopper, signal) = stop_channel();
    let run = world.remote.run(start, Attributes::default(), signal);
    both(run, async {
        for renewal in ["renew K2", "renew K3"] {
            tokio::time::sleep(Duration::from_secs(399)).await;
            world.clock.advance(Duration::from_secs(400));
            assert!(!world.script.calls().contains(&renewal.to_owned()));
            tokio::time::sleep(Duration::from_secs(1)).await;
            world.wait_for_call(renewal).await;
        }
        world.script.emit(
            id,
            ended(RunEnd::Succeeded, "exit_code", Bytes::new(), true),
        );
    })
    .await;
    let starts = world.script.starts.lock().unwrap();
    let credentials = starts[0].credentials.as_ref().unwrap();
    assert_eq!(credentials.access_key, "K1");
}

#[tokio::test(start_paused = true)]
async fn an_output_that_takes_nothing_holds_up_neither_new_credentials_nor_a_stop() {
    let (world, output) = (World::new(Some(1)), Kept::new());
    let (id, start) = a_start(&output);
    let (stopper, signal) = stop_channel();
    let full = output.full.lock().await;
    let run = world.remote.run(start, Attributes::default(), signal);
    let ending = both(run, async {
        tokio::task::yield_now().await;
        world.script.emit(id, lines(1..=1));
        tokio::time::sleep(Duration::from_secs(400)).await;
        world.wait_for_call("renew K2").await;
        stopper.stop(Stop::Graceful);
        world.wait_for_call("stop Graceful").await;
        stopper.stop(Stop::Kill("terminated"));
        world.wait_for_call("stop Kill(\"terminated\")").await;
        assert!(output.texts().is_empty());
        drop(full);
    })
    .await;
    assert_eq!(ending.end, End::Terminated);
    assert_eq!(output.texts(), ["line 1"]);
}

#[tokio::test]
async fn a_resumed_run_gets_new_credentials_at_once() {
    let (world, output) = (World::new(Some(5)), Kept::new());
    let (id, start) = a_start(&output);
    world.script.hold(id);
    let (_stopper, signal) = stop_channel();
    let run = world.remote.resume(start, signal);
    both(run, async {
        world.wait_for_call("renew K5").await;
        world.script.emit(
            id,
            ended(RunEnd::Succeeded, "exit_code", Bytes::new(), true),
        );
    })
    .await;
}
