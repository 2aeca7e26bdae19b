//! The piece of work that is cut at every step: three events, one of which fails and one of which takes a while.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tripline_tests::{eventually, is_alive};

use crate::binary::binary;
use crate::history::{Answer, History};
use crate::load::Caller;
use crate::tracer::{Fault, Tracer, end_tracers, threads, under_tracer};
use crate::world::{World, now};

/// A step, counted from 1, and the beginning of the marks of its events.
type At<'a> = (usize, &'a str);

/// Starts a hub that has work left, and kills it at that step of its start; whether it came so far.
pub(super) async fn begin(
    world: &mut World,
    history: &History,
    calls: &str,
    (step, mark): At<'_>,
) -> bool {
    let caller = Caller::new(&world.gateway);
    for behaviour in ["", "-slow"] {
        caller
            .call_once(&format!("{mark}{behaviour}"), history)
            .await;
    }
    world.kill_hub().await;
    let (output, address) = (
        world.hub.path("strace.out"),
        world.hub.path("data/admin.json"),
    );
    // What the last life left would be taken for this one's.
    let _gone = std::fs::remove_file(&address);
    let mut command = under_tracer(binary(), calls, (step, &output));
    command
        .args(["serve", "tripline.toml"])
        .current_dir(world.hub.path(""));
    let begun = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut begun = begun.expect("strace can be started");
    let met = eventually("the hub is ready, or dead", async || {
        let ended = begun.try_wait().expect("it is ours to wait for");
        if ended.is_some() {
            return Some(true);
        }
        (address.exists() && is_ready(world).await).then_some(false)
    })
    .await;
    end_tracers(&output);
    let _already_gone = begun.kill();
    begun.wait().expect("it is ours to wait for");
    met
}

/// Kills the hub at that step of its threads of this name, if the work comes to it.
pub(super) async fn in_hub(
    world: &mut World,
    history: &History,
    (thread, calls): (&str, &str),
    at: At<'_>,
) -> bool {
    let kill = Fault::Kill(at.0);
    fault(world, history, (thread, calls, kill), at)
        .await
        .is_some()
}

/// Lets that flush of the journal fail, and none after it: the hub must believe the first answer and end by itself.
pub(super) async fn in_flush(
    world: &mut World,
    history: &History,
    calls: &str,
    at: At<'_>,
) -> bool {
    let fail = Fault::Fail(at.0);
    let Some(status) = fault(world, history, ("journal-writer", calls, fail), at).await else {
        return false;
    };
    assert_eq!(status.code(), Some(1), "after a flush that failed");
    let (step, mark) = at;
    if step == 1 {
        // The first flush is that of the first event: whoever sent it must not have a receipt.
        let answers = &history.lock().calls[mark].answers;
        assert_eq!(answers, &[Answer::Unknown], "its flush failed");
    }
    true
}

/// How the hub ended, if the work comes to that step and it did.
async fn fault(
    world: &mut World,
    history: &History,
    (thread, calls, fault): (&str, &str, Fault),
    (_, mark): At<'_>,
) -> Option<ExitStatus> {
    let pid = world.hub.pid();
    let traced = threads(pid, Some(thread));
    let tracer = Tracer::attach(&traced, calls, fault).await;
    work(world, history, mark).await;
    drop(tracer);
    // One that was killed a moment ago is still there, but does not answer any more.
    let met = eventually("the hub is dead, or answers", async || {
        if !is_alive(pid.cast_signed()) {
            return Some(true);
        }
        is_ready(world).await.then_some(false)
    })
    .await;
    match met {
        true => Some(world.bury_hub().await),
        false => None,
    }
}

/// Kills the executor at that step of any of its threads, if the work comes to it.
pub(super) async fn in_executor(
    world: &mut World,
    history: &History,
    calls: &str,
    (step, mark): At<'_>,
) -> bool {
    let executor = eventually("the hub has one executor", async || {
        // One that died is replaced at the next start of a function.
        if world.hub.executors().is_empty() {
            work(world, history, &format!("{mark}-before")).await;
        }
        <[_; 1]>::try_from(world.hub.executors()).ok()
    })
    .await;
    let [executor] = executor;
    let begun = now();
    let all = threads(executor.pid.cast_unsigned(), None);
    let tracer = Tracer::attach(&all, calls, Fault::Kill(step)).await;
    work(world, history, mark).await;
    drop(tracer);
    // One that was killed a moment ago is still there, but runs nothing any more.
    work(world, history, &format!("{mark}-after")).await;
    let met = !is_alive(executor.pid);
    if met {
        world.executor_deaths.push([begun, now()]);
    }
    met
}

async fn is_ready(world: &World) -> bool {
    let asked = world.hub.client().get(world.hub.admin("/readyz")).send();
    asked.await.is_ok_and(|answer| answer.status().is_success())
}

/// Offers the events, and waits until all have ended or the hub is dead.
async fn work(world: &World, history: &History, mark: &str) {
    let caller = Caller::new(&world.gateway);
    let mut receipts = Vec::new();
    for behaviour in ["", "-fail", "-slow"] {
        let answer = caller
            .call_once(&format!("{mark}{behaviour}"), history)
            .await;
        if let Answer::Receipt(id) = answer {
            receipts.push(id);
        }
    }
    let pid = world.hub.pid().cast_signed();
    eventually("the work is done, or the hub dead", async || {
        if !is_alive(pid) {
            return Some(());
        }
        for id in &receipts {
            let url = format!("/v1/invocations/{id}");
            let request = world.hub.request(&url).timeout(Duration::from_secs(5));
            let found: serde_json::Value = request.send().await.ok()?.json().await.ok()?;
            if matches!(found["state"].as_str(), None | Some("accepted" | "running")) {
                return None;
            }
        }
        Some(())
    })
    .await;
}
