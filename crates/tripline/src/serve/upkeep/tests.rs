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

#[tokio::test]
async fn the_log_of_a_run_is_kept_from_when_it_was_found_lost() {
    let bench = Bench::new();
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
    bench.journal.accept(vec![new]).await.expect("accepted");
    bench
        .journal
        .start(request_id, day(0))
        .await
        .expect("started");
    let line = NewLine {
        request_id,
        at: day(0),
        stream: LogStream::Stdout,
        text: Bytes::from_static(b"charged card 17"),
        complete: true,
        origin: 1,
    };
    bench.logs.append(vec![line]).await.expect("written");
    // The hub was away for ten days.
    let lost = Ending::new(End::Lost, day(10), "hub_restarted");
    bench.journal.finish(request_id, lost).await.expect("ended");
    let has_log = async || {
        !bench
            .logs
            .read(request_id, 0, 9)
            .await
            .expect("read")
            .is_empty()
    };
    bench.keep_up(10, &[]).await;
    assert!(has_log().await);
    bench.keep_up(13, &[]).await;
    assert!(has_log().await);
    bench.keep_up(14, &[]).await;
    assert!(!has_log().await);
}
