//! Hubs that go away at any point, and come back.

use proptest::prelude::*;

use super::{Bench, Hub, Numbered, numbered};
use crate::protocol::{FromExecutor, RunEnd};

/// What one hub does before it goes away.
#[derive(Debug, Clone)]
struct Visit {
    /// Lines that the run writes meanwhile, and their length.
    writes: Vec<usize>,
    /// Messages that are read.
    reads: usize,
    /// Whether it says what it has kept.
    keeps: bool,
    /// Lines that it read, but did not keep before it went away.
    loses: usize,
}

fn visits() -> impl Strategy<Value = Vec<Visit>> {
    let writes = proptest::collection::vec(0..40_000_usize, 0..30);
    let visit = (writes, 0..12_usize, any::<bool>(), 0..5_usize);
    let visit = visit.prop_map(|(writes, reads, keeps, loses)| Visit {
        writes,
        reads,
        keeps,
        loses,
    });
    proptest::collection::vec(visit, 1..6)
}

fn text(n: usize, len: usize) -> String {
    format!("{n} {}", "x".repeat(len))
}

/// What a hub has kept over its lives.
#[derive(Default)]
struct Log(Vec<Numbered>);

impl Log {
    fn last(&self) -> u64 {
        self.0.last().map_or(0, |line| line.number)
    }

    /// Takes a message. True at the end.
    fn take(&mut self, message: &FromExecutor, texts: &[u8]) -> bool {
        match message {
            FromExecutor::Lines { first, lines, .. } => {
                assert_eq!(*first, self.last() + 1, "a hole, or the same again");
                self.0.extend(numbered(*first, lines, texts));
                false
            }
            FromExecutor::Ended { outcome, .. } => {
                assert_eq!(outcome.end, RunEnd::Succeeded);
                true
            }
            _ => false,
        }
    }
}

async fn live_through(visits: Vec<Visit>) {
    let mut bench = Bench::open();
    let mut hub = bench.declared_hub().await;
    hub.start(1, "f").await;
    let actor = bench.actor().await;
    let (mut log, mut written) = (Log::default(), Vec::new());
    let mut kept = 0;
    for visit in visits {
        for len in visit.writes {
            let line = text(written.len(), len);
            actor.write(&[&line]).await;
            written.push(line);
        }
        read_some(&mut hub, &mut log, visit.reads, written.len()).await;
        if visit.keeps {
            kept = log.0.len();
            hub.kept(1, log.last()).await;
        }
        drop(hub);
        log.0
            .truncate(kept.max(log.0.len().saturating_sub(visit.loses)));
        hub = bench.hub().await;
        // That says, too, what is kept.
        kept = log.0.len();
        hub.attach(1, log.last()).await;
    }
    actor.end_well("");
    loop {
        let (message, texts) = hub.receive().await;
        if log.take(&message, &texts) {
            break;
        }
        hub.kept(1, log.last()).await;
    }
    assert!(log.0.iter().map(|line| &line.text).eq(&written));
}

/// Reads up to `count` messages, as far as there can be any: until all lines are there, or the window is full.
async fn read_some(hub: &mut Hub, log: &mut Log, count: usize, written: usize) {
    for _ in 0..count {
        if log.0.len() >= written {
            break;
        }
        let (message, texts) = hub.receive().await;
        log.take(&message, &texts);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_line_is_lost_or_told_twice_wherever_the_hub_is_cut_off(visits in visits()) {
        let runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = { runtime }.worker_threads(2).enable_all().build().unwrap();
        runtime.block_on(live_through(visits));
    }
}
