//! A hub whose disk is slow: what is offered takes the last free place, and is accepted when the next write is.

use std::sync::Mutex;

use bytes::Bytes;
use tripline_model::{
    CursorEntry, CursorError, Cursors, Dispatch, Function, FunctionName, Invocation, Stopping,
    TriggerName,
};
use tripline_trigger::testkit::{MemoryCursors, PATIENCE};
use tripline_trigger::{Ports, Supervisor};

use super::*;

/// Dispatcher and journal in one: writes come to the disk in their order, reads see only what is there.
struct SlowDisk {
    around: TestContext,
    on_the_way: Mutex<Vec<Offer>>,
}

fn full() -> Rejected {
    Rejected::QueueFull {
        scope: "the hub".to_owned(),
        limit: 1,
    }
}

// === impl SlowDisk ===

impl SlowDisk {
    fn notes(&self) -> &MemoryCursors {
        self.around.cursors()
    }
}

#[async_trait]
impl Dispatch for SlowDisk {
    async fn try_dispatch(&self, _: Offer) -> Result<Receipt, Rejected> {
        unreachable!("a timer offers in batches")
    }

    async fn try_dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        let accepted = self.around.dispatch().accepted();
        let is_known = |offer: &Offer| {
            let same = |(_, known): &(RequestId, Offer)| known.identity == offer.identity;
            accepted.iter().any(same)
        };
        let answer = |offer: &Offer| is_known(offer).then_some(Receipt::Past).ok_or_else(full);
        offers.iter().map(answer).collect()
    }

    async fn dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>> {
        self.on_the_way.lock().unwrap().extend(offers);
        std::future::pending().await
    }

    fn function(&self, name: &FunctionName) -> Option<Function> {
        self.around.dispatch().function(name)
    }

    async fn ended(&self, _: RequestId) -> Result<Option<Invocation>, Stopping> {
        Err(Stopping)
    }
}

#[async_trait]
impl Cursors for SlowDisk {
    async fn get(&self, trigger: &TriggerName, key: &[u8]) -> Result<Option<Bytes>, CursorError> {
        self.notes().get(trigger, key).await
    }

    async fn range(
        &self,
        trigger: &TriggerName,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<CursorEntry>, CursorError> {
        self.notes().range(trigger, after, limit).await
    }

    async fn put(
        &self,
        trigger: &TriggerName,
        entries: Vec<CursorEntry>,
    ) -> Result<(), CursorError> {
        let earlier = std::mem::take(&mut *self.on_the_way.lock().unwrap());
        self.around.dispatch().try_dispatch_all(earlier).await;
        self.notes().put(trigger, entries).await
    }

    async fn watermark(
        &self,
        trigger: &TriggerName,
        stream: &str,
    ) -> Result<Option<u64>, CursorError> {
        self.notes().watermark(trigger, stream).await
    }
}

#[tokio::test(start_paused = true)]
async fn a_tick_that_holds_the_last_place_itself_is_not_given_up() {
    let clock = FollowingClock::new();
    let around = around(&clock, None);
    let (name, ports) = (around.name().clone(), around.ports());
    let text = "schedule = '5 0 12 * * *'\nmisfire_deadline = '10s'";
    let supervised = around.supervised(timer(text), true);
    let disk = Arc::new(SlowDisk {
        around,
        on_the_way: Mutex::default(),
    });
    let ports = Ports {
        dispatch: disk.clone(),
        cursors: disk.clone(),
        ..ports
    };
    let supervisor = Supervisor::start(vec![supervised], &ports);
    let dealt_with = async {
        let tomorrow = FactValue::from(Timestamp::parse("2026-11-25T12:00:05Z").expect("a time"));
        while supervisor
            .triggers()
            .get(&name)
            .expect("it is there")
            .facts
            .get("next_fire")
            != Some(&tomorrow)
        {
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, dealt_with)
        .await
        .expect("the tick is dealt with");
    let status = supervisor.triggers().get(&name).expect("it is there");
    assert_eq!(status.facts.get("missed"), Some(&FactValue::Count(0)));
    assert_eq!(status.state, TriggerState::Running);
    assert_eq!(times(&disk.around.dispatch().accepted()), ["12:00:05"]);
    supervisor.stop(STOP).await;
}
