use bytes::Bytes;
use metrics_exporter_prometheus::PrometheusBuilder;
use tripline_journal::{MemoryJournal, MemoryLogStore, NewInvocation, NewLine};
use tripline_model::{
    CursorEntry, End, Ending, Event, FunctionName, Identity, LogStream, ManualClock, Offer,
    RequestId,
};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 3600);

fn day(number: u32) -> Timestamp {
    Timestamp::from_millis(0).plus(DAY * number)
}

struct Bench {
    clock: Arc<ManualClock>,
    journal: Arc<MemoryJournal>,
    logs: Arc<MemoryLogStore>,
}

impl Bench {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::at(day(0)));
        Self {
            journal: Arc::new(MemoryJournal::new(clock.clone())),
            logs: Arc::new(MemoryLogStore::new()),
            clock,
        }
    }

    /// One look of a hub with these triggers, that day.
    async fn keep_up(&self, number: u32, triggers: &[&TriggerName]) {
        self.clock.set(day(number));
        let upkeep = Upkeep {
            journal: self.journal.clone(),
            logs: self.logs.clone(),
            clock: self.clock.clone(),
            triggers: triggers.iter().copied().cloned().collect(),
            retention: Retention {
                keep_ended: 3 * DAY,
                keep_at_least: Duration::ZERO,
                max_bytes: u64::MAX,
                keep_removed: 30 * DAY,
            },
            keep_logs: 3 * DAY,
            metrics: PrometheusBuilder::new().build_recorder().handle(),
        };
        upkeep.purge().await;
    }

    /// A run that wrote a line on the first day, and none since.
    async fn run_that_wrote(&self) -> RequestId {
        let request_id = RequestId::new(day(0), [1; 10]);
        let event = Event {
            id: "1".to_owned(),
            source: "/s".to_owned(),
            kind: "k".to_owned(),
            subject: None,
            time: day(0),
            content_type: None,
            data: None,
            extensions: [].into(),
        };
        let offer = Arc::new(Offer {
            function: FunctionName::new("f").expect("a name"),
            trigger: None,
            event,
            identity: Identity::Unique,
            cursors: Vec::new(),
        });
        let new = NewInvocation {
            request_id,
            accepted_at: day(0),
            offer,
        };
        let journal = &self.journal;
        journal.accept(vec![new]).await.expect("accepted");
        journal.start(request_id, day(0)).await.expect("started");
        let line = NewLine {
            request_id,
            at: day(0),
            stream: LogStream::Stdout,
            text: Bytes::from_static(b"charged card 17"),
            complete: true,
            origin: 1,
        };
        self.logs.append(vec![line]).await.expect("written");
        request_id
    }

    async fn has_log(&self, id: RequestId) -> bool {
        !self.logs.read(id, 0, 9).await.expect("read").is_empty()
    }

    async fn has_record(&self, id: RequestId) -> bool {
        Journal::get(&*self.journal, id)
            .await
            .expect("read")
            .is_some()
    }
}

#[tokio::test]
async fn notes_go_with_a_trigger_that_was_removed_and_never_with_one_that_is_there() {
    let bench = Bench::new();
    let trigger = TriggerName::new("t").expect("a name");
    let entry = CursorEntry {
        key: "k".into(),
        value: Some("v".into()),
    };
    let cursors = bench.journal.clone().cursors();
    cursors.put(&trigger, vec![entry]).await.expect("kept");
    let is_there = async || cursors.get(&trigger, b"k").await.expect("read").is_some();
    bench.keep_up(1, &[]).await;
    // It came back, and nobody noted that when its hub started.
    bench.keep_up(40, &[&trigger]).await;
    assert!(is_there().await);
    bench.keep_up(41, &[]).await;
    bench.keep_up(71, &[]).await;
    assert!(is_there().await);
    bench.keep_up(72, &[]).await;
    assert!(!is_there().await);
}

/// The hub was away for ten days; records and logs are kept for three.
#[tokio::test]
async fn what_ended_without_the_hub_is_kept_from_when_that_was_recorded() {
    for ending in [
        Ending::new(End::Lost, day(10), "hub_restarted"),
        Ending::new(End::Succeeded, day(1), "exit_code"),
    ] {
        let bench = Bench::new();
        let id = bench.run_that_wrote().await;
        bench.clock.set(day(10));
        let finished = bench.journal.finish(id, ending.clone()).await;
        finished.expect("ended");
        bench.keep_up(10, &[]).await;
        bench.keep_up(13, &[]).await;
        assert!(
            bench.has_log(id).await && bench.has_record(id).await,
            "{ending:?}"
        );
        bench.keep_up(14, &[]).await;
        assert!(
            !bench.has_log(id).await && !bench.has_record(id).await,
            "{ending:?}"
        );
    }
}

#[tokio::test]
async fn the_log_of_a_silent_run_is_kept_until_long_after_its_end() {
    let bench = Bench::new();
    let id = bench.run_that_wrote().await;
    bench.keep_up(5, &[]).await;
    assert!(bench.has_log(id).await, "it still runs");
    let ended = Ending::new(End::Succeeded, day(5), "exit_code");
    bench.journal.finish(id, ended).await.expect("ended");
    bench.keep_up(8, &[]).await;
    assert!(bench.has_log(id).await);
    bench.keep_up(9, &[]).await;
    assert!(!bench.has_log(id).await);
}
