//! The hub and its executor, killed at the first step of a piece of work, then at the second, and so on until the work
//! goes through without coming to the step: `strace` counts system calls, and kills at the N-th, or lets it fail.

mod work;

use std::fmt::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;
use tripline_tests::skipped;

use crate::check::{Evidence, check};
use crate::facts::{gather, rest};
use crate::history::History;
use crate::ledger;
use crate::report::Figures;
use crate::tracer::{self, HUB_SPEAKS, MESSAGES};
use crate::world::{Sources, World};

/// The calls by which something becomes durable, or goes.
const FILES: &str = "fdatasync,fsync,pwrite64,ftruncate,unlink,unlinkat,rename,mkdir";
/// What an executor does besides: it makes, ends and buries processes.
const PROCESSES: &str = "write,writev,sendto,sendmsg,clone,clone3,vfork,wait4,waitid,mkdir,unlinkat,rmdir,kill,pidfd_send_signal";

/// Whose steps are counted.
#[derive(Debug, Clone, Copy)]
enum Who {
    /// The hub from its first instruction until it is ready.
    Beginning,
    /// The hub's threads of this name.
    Threads(&'static str),
    /// The hub's journal, whose call fails.
    Flush,
    /// The executor.
    Executor,
}

/// A kind of step: its name for people, whose it is, and the system calls.
type Kind = (&'static str, Who, &'static str);

const KINDS: [Kind; 6] = [
    ("hub, while it starts", Who::Beginning, FILES),
    ("journal", Who::Threads("journal-writer"), FILES),
    ("a flush that fails", Who::Flush, "fdatasync,fsync"),
    ("logs of functions", Who::Threads("log-writer"), FILES),
    ("hub, messages", Who::Threads(HUB_SPEAKS), MESSAGES),
    ("executor", Who::Executor, PROCESSES),
];

/// What was struck at how many steps, and what came of it.
#[derive(Debug)]
pub struct Steps {
    struck: Vec<(&'static str, usize)>,
    figures: Figures,
    took: Duration,
    /// What speaks against the hub; empty is good.
    pub wrong: Vec<String>,
}

/// Kills at every step; at every `stride`-th, where a whole enumeration takes too long. `None` was said aloud.
pub async fn steps(stride: usize, tell: &dyn Fn(&str, usize)) -> Option<Steps> {
    if !tracer::is_there() {
        skipped("kills at every step", "no strace on PATH");
        return None;
    }
    let began = Instant::now();
    let mut world = World::prepare(Sources::Calls).await;
    let history = History::default();
    let mut struck = Vec::new();
    for (name, who, calls) in KINDS {
        let mut steps = 0;
        for step in (1..).step_by(stride) {
            let mark = format!("/call/{}-{step}", struck.len());
            let met = match who {
                Who::Beginning => work::begin(&mut world, &history, calls, (step, &mark)).await,
                Who::Threads(thread) => {
                    work::in_hub(&mut world, &history, (thread, calls), (step, &mark)).await
                }
                Who::Flush => work::in_flush(&mut world, &history, calls, (step, &mark)).await,
                Who::Executor => {
                    work::in_executor(&mut world, &history, calls, (step, &mark)).await
                }
            };
            world.launch().await;
            rest(&world, &[]).await;
            if !met {
                break;
            }
            steps += 1;
            tell(name, step);
        }
        struck.push((name, steps));
    }
    let (wrong, figures) = verdict(&world, &history).await;
    Some(Steps {
        struck,
        figures,
        took: began.elapsed(),
        wrong,
    })
}

async fn verdict(world: &World, history: &History) -> (Vec<String>, Figures) {
    let facts = gather(world).await;
    let lines = world.hub.lines("ledger");
    let ledger = ledger::read(&lines).unwrap_or_else(|line| panic!("no function wrote {line:?}"));
    let observed = history.lock();
    let wrong = check(&Evidence {
        observed: &observed,
        ledger: &ledger,
        facts: &facts,
    });
    (wrong, Figures::of(&observed, &ledger, &facts))
}

// === impl Steps ===

impl Steps {
    /// Kinds of steps that were never met.
    pub fn missed(&self) -> Vec<&'static str> {
        let never = self.struck.iter().filter(|(_, count)| *count == 0);
        never.map(|(name, _)| *name).collect()
    }

    /// For people.
    pub fn table(&self) -> String {
        let total: usize = self.struck.iter().map(|(_, count)| count).sum();
        let mut text = format!(
            "killed at {total} steps in {:.0} s\n",
            self.took.as_secs_f64()
        );
        let mut line = |name: &str, count: usize| {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "  {name:<32} {count:>8}");
        };
        for (name, count) in &self.struck {
            line(name, *count);
        }
        self.figures.lines(&mut line);
        for wrong in &self.wrong {
            let _ = writeln!(text, "WRONG: {wrong}");
        }
        for name in self.missed() {
            let _ = writeln!(text, "NEVER MET: {name}");
        }
        text
    }

    /// For machines: one object.
    pub fn json(&self) -> Value {
        let struck: serde_json::Map<String, Value> = self
            .struck
            .iter()
            .map(|(name, count)| ((*name).to_owned(), (*count).into()))
            .collect();
        let mut json = json!({
            "proof": "steps",
            "seconds": self.took.as_secs(),
            "struck": struck,
            "wrong": self.wrong,
            "never_met": self.missed(),
        });
        self.figures.add_to(&mut json);
        json
    }
}
