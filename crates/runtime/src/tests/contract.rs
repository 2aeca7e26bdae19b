//! The contract of a runtime, as checks that every kind passes.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tripline_model::{End, Ending, Function};

use super::support::{Kept, invocation, start};
use crate::{Runtime, Stop, StopSignal, Stopper, stop_channel};

/// How long a check waits for anything.
const TEST_TIMEOUT: Duration = Duration::from_secs(20);

/// What a function of a test does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Behaviour {
    /// Answers at once with the event's data.
    Answers,
    /// Says at once that it failed.
    Fails,
    /// Does nothing until it is killed or its time is over.
    Hangs,
    /// Cannot be started.
    CannotStart,
}

/// A kind of runtime that is tested.
pub(crate) trait Subject: Sync {
    fn runtime(&self) -> Arc<dyn Runtime>;

    /// A function of the runtime with this behaviour and a timeout of a minute.
    fn function(&self, behaviour: Behaviour) -> Function;

    /// Whether it can know that a run that was stopped has run.
    fn knows_what_ran(&self) -> bool {
        true
    }
}

/// Everything that holds for every runtime.
pub(crate) async fn check(subject: &dyn Subject) {
    ends_are_told_as_they_are(subject).await;
    a_kill_ends_a_run(subject).await;
    the_deadline_ends_a_run(subject).await;
    what_is_not_held_is_lost_and_let_go_of_at_once(subject).await;
}

async fn ends_are_told_as_they_are(subject: &dyn Subject) {
    for (behaviour, end, ran) in [
        (Behaviour::Answers, End::Succeeded, true),
        (Behaviour::Fails, End::Failed, true),
        (Behaviour::CannotStart, End::Failed, false),
    ] {
        let (_stopper, signal) = stop_channel();
        let ending = run(subject, subject.function(behaviour), signal).await;
        assert_eq!(ending.end, end, "{behaviour:?}: {ending:?}");
        assert_eq!(ending.ran(), Some(ran), "{behaviour:?}: {ending:?}");
        match behaviour {
            Behaviour::Answers => {
                assert_eq!(ending.result, Some(Bytes::from_static(b"the event")));
            }
            Behaviour::CannotStart => {
                assert_eq!(ending.reason, "start_failed");
                assert!(ending.detail.is_some() && ending.result.is_none());
            }
            Behaviour::Fails | Behaviour::Hangs => {}
        }
    }
}

async fn a_kill_ends_a_run(subject: &dyn Subject) {
    let (stopper, signal): (Stopper, StopSignal) = stop_channel();
    let hangs = run(subject, subject.function(Behaviour::Hangs), signal);
    let (ending, ()) = tokio::join!(hangs, async {
        tokio::task::yield_now().await;
        stopper.stop(Stop::Kill("terminated"));
    });
    stopped(subject, &ending, (End::Terminated, "terminated"));
}

async fn the_deadline_ends_a_run(subject: &dyn Subject) {
    let (_stopper, signal) = stop_channel();
    let function = Function {
        timeout: Duration::from_millis(100),
        grace: Duration::from_millis(100),
        ..subject.function(Behaviour::Hangs)
    };
    let ending = run(subject, function, signal).await;
    stopped(subject, &ending, (End::TimedOut, "timeout"));
}

fn stopped(subject: &dyn Subject, ending: &Ending, how: (End, &str)) {
    if subject.knows_what_ran() {
        assert_eq!((ending.end, ending.reason.as_str()), how);
    } else {
        assert_eq!(ending.end, how.0);
        assert_ne!(ending.ran(), Some(true), "{ending:?}");
    }
}

async fn what_is_not_held_is_lost_and_let_go_of_at_once(subject: &dyn Subject) {
    let runtime = subject.runtime();
    assert_eq!(runtime.held(), []);
    let (_stopper, signal) = stop_channel();
    let function = subject.function(Behaviour::Answers);
    let unknown = invocation(&function);
    let id = unknown.request_id;
    let start = start(unknown, function, Kept::new());
    let ending = within(runtime.resume(start, signal)).await;
    assert_eq!(ending.end, End::Lost);
    within(runtime.reclaim(id)).await;
}

/// Runs a function to its end, and lets go of the run.
async fn run(subject: &dyn Subject, function: Function, signal: StopSignal) -> Ending {
    let runtime = subject.runtime();
    let invocation = invocation(&function);
    let id = invocation.request_id;
    let ending = within(runtime.run(start(invocation, function, Kept::new()), signal)).await;
    within(runtime.reclaim(id)).await;
    assert_eq!(runtime.held(), [], "it is let go of");
    ending
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(TEST_TIMEOUT, future).await;
    done.expect("it takes no time")
}
