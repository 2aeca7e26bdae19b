//! What the hub answers when it has come to rest.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use tripline_model::Timestamp;
use tripline_tests::{Vitals, eventually_within};

use crate::secrets::{self, Search};
use crate::world::{Span, World};

/// How long a hub may take to come to rest.
const PATIENCE: Duration = Duration::from_secs(180);

/// Logs that are read to the last line: so many of what succeeded, and so many of what did not.
const LOGS: usize = 300;

/// What a function printed to its output and to its errors.
pub(crate) type Printed = [Vec<String>; 2];

/// An invocation, as the API shows it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Invocation {
    pub(crate) id: String,
    pub(crate) trigger: String,
    /// CloudEvents `id`.
    pub(crate) event: String,
    /// CloudEvents `subject`.
    pub(crate) mark: String,
    pub(crate) state: String,
    pub(crate) ran: String,
    pub(crate) signal: Option<i64>,
    /// Milliseconds since 1970.
    pub(crate) accepted_at: i64,
    /// The same; 0 if it has not ended.
    pub(crate) ended_at: i64,
    /// How many instants of a schedule a tick stands for, itself included.
    pub(crate) stands_for: i64,
    /// What the function printed by its log, for some of them.
    pub(crate) printed: Option<Printed>,
}

/// Everything that is checked besides history and ledger.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    pub(crate) invocations: Vec<Invocation>,
    /// When each life of the hub began, in milliseconds since 1970.
    pub(crate) lives: Vec<i64>,
    /// When the power was cut, likewise.
    pub(crate) cuts: Vec<i64>,
    /// Processes of functions that are there when everything has ended.
    pub(crate) alive: Vec<i32>,
    /// What is in scratch directories then.
    pub(crate) scratch: BTreeSet<String>,
    /// Control groups that are left, or hold something then.
    pub(crate) groups: BTreeSet<String>,
    /// The hub's.
    pub(crate) vitals: Option<Vitals>,
    /// Those of the executors that are there.
    pub(crate) executors: Vec<Vitals>,
    /// What the data directory takes on the disk, in KiB.
    pub(crate) disk_kib: u64,
    /// Where secrets were looked for, and where they were that must not be there.
    pub(crate) search: Search,
    /// When executors were killed, from just before until just after.
    pub(crate) executor_deaths: Vec<[i64; 2]>,
    /// When functions were killed, likewise.
    pub(crate) function_deaths: Vec<[i64; 2]>,
}

// === impl Invocation ===

impl Invocation {
    pub(crate) fn is_open(&self) -> bool {
        matches!(self.state.as_str(), "accepted" | "running")
    }

    /// Whether one of these deaths came between its acceptance and its end.
    pub(crate) fn lived_through(&self, deaths: &[[i64; 2]]) -> bool {
        let met = |[from, to]: &[i64; 2]| self.accepted_at <= *to && *from <= self.ended_at;
        deaths.iter().any(met)
    }

    /// Partition and offset of a record.
    pub(crate) fn position(&self) -> Option<(i32, i64)> {
        let (partition, offset) = self.event.split_once('/')?;
        let is_record = self.trigger == "record";
        is_record.then_some((partition.parse().ok()?, offset.parse().ok()?))
    }

    fn of(value: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let event = &value["event"];
        let time =
            |name: &str| Timestamp::parse(&text(&value[name])).map_or(0, Timestamp::as_millis);
        Self {
            id: text(&value["request_id"]),
            trigger: text(&value["trigger"]),
            event: text(&event["id"]),
            mark: text(&event["subject"]),
            state: text(&value["state"]),
            ran: text(&value["ran"]),
            signal: value["signal"].as_i64(),
            accepted_at: time("accepted_at"),
            ended_at: time("ended_at"),
            stands_for: text(&event["extensions"]["cronmissed"])
                .parse()
                .unwrap_or(1),
            printed: None,
        }
    }
}

/// Every invocation there is.
pub(crate) async fn invocations(world: &World) -> Vec<Invocation> {
    let all = world.hub.invocations("").await;
    all.iter().map(Invocation::of).collect()
}

/// Asks for everything.
pub(crate) async fn gather(world: &World) -> Facts {
    let mut invocations = invocations(world).await;
    let (good, bad): (Vec<_>, Vec<_>) = invocations
        .iter_mut()
        .partition(|one| one.state == "succeeded");
    for some in [good, bad] {
        let step = (some.len() / LOGS).max(1);
        for one in some.into_iter().step_by(step) {
            one.printed = Some(printed(world, &one.id).await);
        }
    }
    let millis = |deaths: &[Span]| {
        deaths
            .iter()
            .map(|span| span.map(Timestamp::as_millis))
            .collect()
    };
    let executors = world.hub.executors().into_iter();
    let executors = executors.map(|one| Vitals::of(one.pid.cast_unsigned()));
    Facts {
        lives: world.lives.iter().map(|at| at.as_millis()).collect(),
        cuts: world.cuts.iter().map(|at| at.as_millis()).collect(),
        alive: world.instances(),
        scratch: world.scratch(),
        groups: world.groups.left(&world.hub),
        vitals: Some(Vitals::of(world.hub.pid())),
        executors: executors.collect(),
        disk_kib: bytes_in(&world.hub.path("data")) >> 10,
        search: secrets::search(world).await,
        invocations,
        executor_deaths: millis(&world.executor_deaths),
        function_deaths: millis(&world.function_deaths),
    }
}

/// What the files in a folder take on the disk, at any depth. What goes meanwhile takes nothing.
fn bytes_in(folder: &Path) -> u64 {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let taken = entries.map(|entry| match entry.metadata() {
        Ok(file) if file.is_dir() => bytes_in(&entry.path()),
        Ok(file) => file.blocks() * 512,
        Err(_) => 0,
    });
    taken.sum()
}

async fn printed(world: &World, id: &str) -> Printed {
    let log = world.hub.log(id).await;
    ["stdout", "stderr"].map(|stream| {
        let lines = log.iter().filter(|line| line["stream"] == stream);
        let texts = lines.filter_map(|line| line["text"].as_str().map(str::to_owned));
        texts.collect()
    })
}

/// Waits until each of these marks has an invocation, and none has still to end but what the timer goes on to start.
pub(crate) async fn rest(world: &World, marks: &[String]) {
    eventually_within(
        PATIENCE,
        "every event is accepted and has ended",
        async || {
            let all = invocations(world).await;
            let there: BTreeSet<&str> = all.iter().map(|one| one.mark.as_str()).collect();
            let accepted = marks.iter().all(|mark| there.contains(mark.as_str()));
            let open = all.iter().filter(|one| one.is_open()).count();
            (accepted && open == 0).then_some(())
        },
    )
    .await;
}
