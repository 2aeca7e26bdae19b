//! The contract that every kind keeps, as checks that each kind calls with a source of its own.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tripline_model::Rejected;

use super::{PATIENCE, Run, TestContext};
use crate::{Trigger, TriggerState};

/// How long a trigger may take to end after its shutdown, in [`stops_in_time`].
const STOP_WITHIN: Duration = Duration::from_secs(5);

/// How many occurrences a check uses.
const COUNT: usize = 5;

/// Who must offer again after a temporary refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// The source sends and gets a response: it must see the refusal, and sends again or does not.
    Push,
    /// The trigger fetches: it must offer again until there is a receipt, if need be in its next run.
    Pull,
}

/// A trigger with a source that the test controls. Each check uses a fresh one.
#[async_trait]
pub trait Subject: Send + Sync {
    /// The kind's trigger.
    type Trigger: Trigger;

    /// Who must offer again.
    fn style(&self) -> Style;

    /// What is around the trigger; override it for secrets, a function or a clock.
    fn surroundings(&self) -> TestContext {
        TestContext::new("subject")
    }

    /// The trigger, wired to the source.
    fn trigger(&self) -> Arc<Self::Trigger>;

    /// Makes `count` new occurrences at the source and returns without waiting until they are taken. Called while
    /// the trigger runs and after it called [`crate::TriggerContext::ready`].
    async fn produce(&self, around: &TestContext, count: usize);

    /// How many occurrences are settled at the source: offsets stored, 2xx responses received, notes written. For a
    /// source without feedback (a timer), the number accepted.
    async fn settled(&self, around: &TestContext) -> usize;
}

/// All checks, each with a fresh subject.
pub async fn contract<S, F>(fresh: impl Fn() -> F)
where
    S: Subject,
    F: Future<Output = S>,
{
    offers_what_it_gets(&fresh().await).await;
    stops_in_time(&fresh().await).await;
    settles_only_receipts(&fresh().await).await;
    survives_passing_refusals(&fresh().await).await;
}

/// Every occurrence becomes one accepted event of the right function and trigger, valid by CloudEvents' rules, and is
/// settled.
pub async fn offers_what_it_gets<S: Subject>(subject: &S) {
    let around = subject.surroundings();
    let run = started(subject, &around).await;
    subject.produce(&around, COUNT).await;
    let accepted = around.dispatch().wait_accepted(COUNT).await;
    settles(subject, &around, COUNT).await;
    assert_eq!(accepted.len(), COUNT, "more was accepted than happened");
    for (_, offer) in &accepted {
        assert_eq!(offer.trigger.as_ref(), Some(around.name()));
        assert_eq!(
            offer.function.as_str(),
            around.context().function().name.as_str()
        );
        assert_eq!(offer.event.check(), Ok(()));
    }
    stopped(run).await;
}

/// A run ends soon after its shutdown, with `Ok`: idle, and while answers are held back.
pub async fn stops_in_time<S: Subject>(subject: &S) {
    let around = subject.surroundings();
    stopped(started(subject, &around).await).await;
    let run = started(subject, &around).await;
    around.dispatch().hold();
    let before = around.dispatch().offered().len();
    subject.produce(&around, COUNT).await;
    around.dispatch().wait_offered(before + 1).await;
    stopped(run).await;
    around.dispatch().release();
}

/// While answers are held back nothing is settled; afterwards everything is.
pub async fn settles_only_receipts<S: Subject>(subject: &S) {
    let around = subject.surroundings();
    let run = started(subject, &around).await;
    around.dispatch().hold();
    subject.produce(&around, COUNT).await;
    around.dispatch().wait_offered(1).await;
    // There is nothing to wait for: a trigger that settles too early has done so with its offer, or does so while it is
    // polled a few times.
    for _ in 0..100 {
        tokio::task::yield_now().await;
        assert_eq!(
            subject.settled(&around).await,
            0,
            "settled without a receipt"
        );
    }
    around.dispatch().release();
    around.dispatch().wait_accepted(COUNT).await;
    settles(subject, &around, COUNT).await;
    stopped(run).await;
}

/// Temporary refusals neither end the trigger's work for good nor lose an occurrence of a pull source; what is refused is
/// not settled. The trigger may end its run with an error: it is restarted, as by the supervisor.
pub async fn survives_passing_refusals<S: Subject>(subject: &S) {
    let around = subject.surroundings();
    let mut run = started(subject, &around).await;
    around.dispatch().reject_all(Some(Rejected::Unavailable));
    subject.produce(&around, COUNT).await;
    // A push source offers each once; a pull trigger may stop at the first refusal.
    let refused = match subject.style() {
        Style::Pull => 1,
        Style::Push => COUNT,
    };
    around.dispatch().wait_offered(refused).await;
    assert_eq!(
        subject.settled(&around).await,
        0,
        "settled what was refused"
    );
    around.dispatch().reject_all(None);
    if subject.style() == Style::Push {
        subject.produce(&around, COUNT).await;
    }
    let all_accepted = async {
        loop {
            let accepted = around.dispatch().wait_accepted(COUNT);
            tokio::select! {
                accepted = accepted => return accepted,
                // A restart, without the supervisor's delay.
                () = run.failed() => run = started(subject, &around).await,
            }
        }
    };
    let accepted = timeout(PATIENCE, all_accepted).await;
    let accepted = accepted.expect("what was refused for a while is accepted later");
    assert_eq!(
        accepted.len(),
        COUNT,
        "something was accepted twice, or did not happen"
    );
    stopped(run).await;
}

async fn started<S: Subject>(subject: &S, around: &TestContext) -> Run {
    let run = around.run(subject.trigger());
    run.wait_state(TriggerState::Running).await;
    run
}

async fn stopped(run: Run) {
    let ended = run.stop(STOP_WITHIN).await;
    ended.expect("a run that is asked to end ends well");
}

/// Waits until `count` occurrences are settled, and no more.
async fn settles<S: Subject>(subject: &S, around: &TestContext, count: usize) {
    let all = async {
        loop {
            let settled = subject.settled(around).await;
            assert!(settled <= count, "{settled} were settled, {count} happened");
            if settled == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let in_time = timeout(PATIENCE, all).await;
    in_time.expect("what was accepted is settled");
}
