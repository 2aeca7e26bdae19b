//! A campaign: load, strike, new life, and so on; then rest, and the check.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;
use tripline_tests::{eventually, skipped};

use crate::check::{Evidence, check};
use crate::dice::Dice;
use crate::facts::{gather, rest};
use crate::history::History;
use crate::ledger::{self, Ledger};
use crate::load::Load;
use crate::moment::Moments;
use crate::report::{Figures, Report, not_recovered};
use crate::strike::Strike;
use crate::tracer;
use crate::world::{Sources, World};

/// Milliseconds of load before a strike.
const LOAD: (u64, u64) = (100, 900);

/// After so many strikes a longer time without one, so that slow sources get their turn.
const BREATH: u64 = 12;

/// How many times as many strikes as were asked for a campaign may take to meet everything.
const LONGEST: u64 = 8;

/// How long a hub that is struck no more may take until a fresh event of each kind has ended.
const FRESH: Duration = Duration::from_secs(10);

/// What to do.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Strikes, at least: a campaign that has not met everything by then goes on for a while.
    pub cycles: u64,
    /// Which strikes, in which order and when: the same seed gives the same choice, not the same run.
    pub seed: u64,
    /// Whether to cut the power instead of killing processes.
    pub power: bool,
}

// === impl Plan ===

impl Plan {
    /// What there is to strike with; what cannot be had is said aloud.
    fn strikes(&self) -> Vec<Strike> {
        if self.power {
            return vec![Strike::Power];
        }
        let mut kills = Strike::KILLS.to_vec();
        if !tracer::may_attach() {
            skipped(
                "kills of a hub that speaks slowly",
                "no strace on PATH, or no root",
            );
            kills.retain(|strike| *strike != Strike::HubThatSpeaksSlowly);
        }
        kills
    }
}

/// Runs a campaign; `tell` hears how many strikes have fallen, and the last one's name. `None` was said aloud: there is
/// nothing here whose power can be cut.
pub async fn campaign(plan: Plan, tell: &dyn Fn(u64, &str)) -> Option<Report> {
    let began = Instant::now();
    let mut dice = Dice::new(plan.seed);
    let mut world = match plan.power {
        true => World::prepare_on_disk().await?,
        false => World::prepare(Sources::All).await,
    };
    let history = History::default();
    let load = Load::start(&world, &history, "");
    let (mut struck, mut moments) = (BTreeMap::new(), Moments::default());
    let strikes = plan.strikes();
    let mut deck = Vec::new();
    for cycle in 0..plan.cycles * LONGEST {
        let is_enough =
            || moments.are_all_met() && not_recovered(&strikes, world.recovered()).is_empty();
        if cycle >= plan.cycles && is_enough() {
            break;
        }
        let millis = match cycle % BREATH {
            0 => 3000,
            _ => dice.between(LOAD.0, LOAD.1),
        };
        tokio::time::sleep(Duration::from_millis(millis)).await;
        if cycle % 2 == 1 {
            a_call_is_on_its_way(&history).await;
        }
        if deck.is_empty() {
            deck.extend(&strikes);
            dice.shuffle(&mut deck);
        }
        world.groups.note(&world.hub);
        let strike = deck.pop().unwrap_or(&Strike::Hub);
        moments.note(&history.lock(), &ledger_of(&world));
        strike.fall(&mut world, &mut dice).await;
        if strike.ends_hubs_only() {
            moments.note_without_hub(&ledger_of(&world));
        }
        *struck.entry(*strike).or_default() += 1;
        world.launch().await;
        tell(cycle + 1, strike.name());
    }
    load.stop().await;
    let fresh = settle(&world, &history).await;
    let facts = gather(&world).await;
    let ledger = ledger_of(&world);
    let observed = history.lock();
    let mut wrong = check(&Evidence {
        observed: &observed,
        ledger: &ledger,
        facts: &facts,
    });
    wrong.extend(fresh);
    Some(Report {
        plan,
        took: began.elapsed(),
        triggers: world.triggers(),
        strikes,
        struck,
        went_on: moments.went_on(&facts),
        recovered: world.recovered(),
        moments,
        figures: Figures::of(&observed, &ledger, &facts),
        wrong,
    })
}

/// Waits until there is one, within reason: most are answered within a millisecond or two, so that strikes at any time
/// would hardly meet one.
async fn a_call_is_on_its_way(history: &History) {
    let there_is_one = async {
        while history.lock().on_their_way() == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    // If none comes, the report says what was never met.
    let _ = tokio::time::timeout(Duration::from_secs(1), there_is_one).await;
}

fn ledger_of(world: &World) -> Ledger {
    let lines = world.hub.lines("ledger");
    ledger::read(&lines).unwrap_or_else(|line| panic!("no function wrote this: {line:?}"))
}

/// Waits until everything that was sent has ended; then a fresh event of each kind must end in time, and the timer stops.
async fn settle(world: &World, history: &History) -> Vec<String> {
    rest(world, &arrived(history)).await;
    let load = Load::start(world, history, "fresh-");
    let healed = tokio::time::timeout(FRESH, fresh_events(world)).await;
    load.stop().await;
    let paused = world.hub.call("/v1/triggers/tick/pause").send().await;
    let paused = paused.expect("the hub answers").status();
    assert!(paused.is_success(), "the timer goes on: {paused}");
    rest(world, &arrived(history)).await;
    match healed {
        Ok(()) => Vec::new(),
        Err(_) => vec![format!(
            "liveness: no fresh event of each kind ended within {FRESH:?}"
        )],
    }
}

/// The marks that a broker or a store has said to have.
fn arrived(history: &History) -> Vec<String> {
    let observed = history.lock();
    let sent = observed.records.iter().chain(&observed.objects);
    let there = sent.filter(|(_, there)| **there);
    there.map(|(mark, _)| mark.clone()).collect()
}

/// Waits until an event of each kind that was sent after everything else has ended well.
async fn fresh_events(world: &World) {
    let before = ended(world, "tick").await.len();
    for trigger in world.triggers() {
        eventually(&format!("a fresh {trigger} has ended"), async || {
            let marks = ended(world, trigger).await;
            let is_fresh = match trigger {
                "tick" => marks.len() > before,
                _ => marks.iter().any(|mark| mark.contains("fresh-")),
            };
            is_fresh.then_some(())
        })
        .await;
    }
}

/// The marks of a trigger's events that ended well.
async fn ended(world: &World, trigger: &str) -> Vec<String> {
    let query = format!("trigger={trigger}&state=succeeded");
    let all = world.hub.invocations(&query).await;
    let marks = all
        .iter()
        .filter_map(|one| one["event"]["subject"].as_str());
    marks.map(str::to_owned).collect()
}
