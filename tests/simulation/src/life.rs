//! One life of the hub, from the opening of its journal to its end.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::task::TaskTracker;
use tripline_dispatcher::{Dispatcher, DispatcherHandle};
use tripline_journal::{Copied, Journal, JournalOptions, Query, Retention, SqliteJournal};
use tripline_model::{Clock as _, Invocation, RequestId};

use crate::between::Between;
use crate::check::END_OF_HISTORY;
use crate::dice::Dice;
use crate::executor::SimRuntime;
use crate::fate::Effect;
use crate::history::Way;
use crate::hub::parts;
use crate::mutant::Mutant;
use crate::script::{FUNCTIONS, Kind, Step, Timed};
use crate::sources::gate::Gate;
use crate::sources::{Hub, client, log, timer};
use crate::world::World;

/// After its steps a life goes on for this long.
const REST: Duration = Duration::from_millis(1700);

/// Between two removals: a few in each life.
const UPKEEP: Duration = Duration::from_millis(60);

/// In the last life, everything must have come to its end after this long.
const SETTLED: Duration = Duration::from_secs(600);

/// What is different about a life.
pub(crate) struct LifePlan {
    /// What chance decides in it, but for the disk's.
    pub(crate) dice: Dice,
    /// Whether it is the last one: it does not end before everything else has.
    pub(crate) last: bool,
    /// Whether it stops as told, if no crash ends it.
    pub(crate) graceful: bool,
}

/// A hub and those around it.
struct Life<'a> {
    world: &'a Arc<World>,
    journal: Arc<Between>,
    hub: Hub,
    handle: DispatcherHandle,
    executor: Arc<SimRuntime>,
    outside: JoinSet<()>,
    dice: Dice,
}

/// Options that make a journal short of room for its log, so that it moves it often.
fn options() -> JournalOptions {
    JournalOptions {
        readers: 1,
        queue_bytes: 1 << 20,
        reserve_bytes: 1 << 20,
        // The disk outlives the file that stands for it.
        copied: Copied::Adopt,
    }
}

/// Makes a journal, and leaves it as a hub does that was stopped.
pub(crate) async fn format(world: &World, dir: &Path) {
    let opened = SqliteJournal::open_inline(dir, options(), world.clock.clone());
    let (journal, writer) = opened.expect("a journal is made on an empty disk");
    journal.close().await;
    writer.await;
}

/// Lives. Answers what an open journal showed at the end of the last life; nothing else comes back for what a crash
/// ends.
pub(crate) async fn live(
    world: &Arc<World>,
    dir: &Path,
    steps: &mut VecDeque<Timed>,
    plan: &LifePlan,
) -> Vec<Invocation> {
    let mut dice = plan.dice.clone();
    world.fate.enter("crash while the journal opens");
    let opened = SqliteJournal::open_inline(dir, options(), world.clock.clone());
    let (journal, writer) = match opened {
        Ok(opened) => opened,
        Err(error) => return refused(world, &format!("the journal is not opened: {error}")).await,
    };
    let writing = TaskTracker::new();
    writing.spawn(writer);
    writing.close();
    let between = Between::new(Arc::new(journal), world.clone(), Dice::new(dice.throw(), 0));
    let journal = Arc::new(between);
    crate::aftermath::look(world, &records(journal.as_ref()).await);
    world.fate.enter("crash in recovery");
    let executor = SimRuntime::held(world);
    let parts = parts(world, journal.clone(), executor.clone(), dice.throw());
    let dispatcher = match Dispatcher::start(parts).await {
        Ok(dispatcher) => dispatcher,
        Err(error) => return refused(world, &format!("the hub does not start: {error}")).await,
    };
    world.fate.enter("crash while serving");
    let handle = dispatcher.handle();
    let mut hub: Hub = Arc::new(handle.clone());
    if world.is(Mutant::WallClockLimit) {
        hub = Arc::new(Gate::new(hub, world.clone()));
    }
    let life = Life {
        world,
        journal: journal.clone(),
        hub,
        handle,
        executor,
        outside: JoinSet::new(),
        dice,
    };
    tokio::select! {
        biased;
        why = dispatcher.failure() => {
            // As the binary does: it exits.
            world.fate.note(|| format!("exit: {why}"));
            if world.disk_fails() {
                *world.classes().entry("a sync failed").or_default() += 1;
            } else {
                world.wrong(END_OF_HISTORY, &format!("the hub ended: {why}"));
            }
            world.fate.end();
            return Vec::new();
        }
        () = life.serve(steps, plan.last) => {}
    }
    world.removals().end();
    if !plan.last && !plan.graceful {
        world.fate.note(|| "killed at rest".to_owned());
        world.fate.end();
        return Vec::new();
    }
    world.fate.note(|| "stopping".to_owned());
    dispatcher.shutdown().await;
    let left = records(journal.as_ref()).await;
    journal.close().await;
    writing.wait().await;
    left
}

/// What must not happen in a hub whose disk works. One whose disk is dead has no more effect.
async fn refused(world: &World, why: &str) -> Vec<Invocation> {
    if world.fate.is_over() {
        std::future::pending::<()>().await;
    }
    // A sync that fails while the hub starts ends it as well.
    if !world.disk_fails() {
        world.wrong(END_OF_HISTORY, why);
    }
    world.fate.end();
    Vec::new()
}

/// Everything that the journal has.
pub(crate) async fn records(journal: &dyn Journal) -> Vec<Invocation> {
    let (mut all, mut before) = (Vec::new(), None);
    loop {
        let query = Query {
            before,
            limit: 1000,
            ..Query::default()
        };
        let Ok(page) = journal.list(&query).await else {
            return all;
        };
        all.extend(page.invocations);
        before = page.next;
        if before.is_none() {
            return all;
        }
    }
}

// === impl Life ===

impl Life<'_> {
    async fn serve(mut self, steps: &mut VecDeque<Timed>, last: bool) {
        self.begin();
        while let Some((gap, step)) = steps.front().copied() {
            if !gap.is_zero() {
                sleep(gap).await;
            }
            steps.pop_front();
            self.world.fate.note(|| format!("{step:?}"));
            self.take(step).await;
            for _ in 0..self.dice.below(8) {
                tokio::task::yield_now().await;
            }
        }
        if last {
            self.settle().await;
        } else {
            sleep(REST).await;
        }
        self.outside.shutdown().await;
    }

    /// Those outside go on where they were.
    fn begin(&mut self) {
        let cursors = self.journal.clone().cursors();
        let dice = self.throw();
        let reading = log::read(self.world.clone(), self.hub.clone(), cursors.clone(), dice);
        self.outside.spawn(reading);
        let firing = timer::fire(self.world.clone(), self.hub.clone(), cursors);
        self.outside.spawn(firing);
        if let Some(retention) = self.world.settings.retention {
            let (world, journal) = (self.world.clone(), self.journal.clone());
            self.outside.spawn(upkeep(world, journal, retention));
        }
        let unsettled: Vec<_> = {
            let history = self.world.history();
            let all = history.occurrences.iter().enumerate();
            let called = |way: &Way| matches!(way, Way::Key | Way::Notice { .. });
            all.filter(|(_, one)| called(&one.way) && !one.settled)
                .map(|(number, _)| number)
                .collect()
        };
        for number in unsettled {
            self.call(number);
        }
    }

    fn throw(&mut self) -> Dice {
        Dice::new(self.dice.throw(), 2)
    }

    fn call(&mut self, number: usize) {
        let dice = self.throw();
        let calling = client::call(self.world.clone(), self.hub.clone(), number, dice);
        self.outside.spawn(calling);
    }

    async fn take(&mut self, step: Step) {
        match step {
            Step::Call {
                keyed,
                kind,
                function,
            } => {
                let way = if keyed { Way::Key } else { Way::Unique };
                let number = self.world.history().add(way, function, kind);
                self.call(number);
            }
            Step::CallAgain(which) => {
                let keyed = self.keyed();
                if let Some(number) = nth(&keyed, which) {
                    self.call(number);
                }
            }
            Step::Notify(count) => self.notify(count),
            Step::Produce(count) => {
                let mut dice = self.throw();
                log::produce(self.world, count, &mut dice);
            }
            Step::Recreate => log::recreate(self.world),
            Step::Terminate { which, grace } => {
                let heard = self.world.history().heard();
                if let Some(id) = nth(&heard, which) {
                    let handle = self.handle.clone();
                    self.outside.spawn(async move {
                        // Whatever it answers: what came of it is seen elsewhere.
                        let _ = handle.terminate(id, grace).await;
                    });
                }
            }
            Step::Look => self.look().await,
            Step::Jump(millis) => self.world.clock.jump(millis),
            Step::ExecutorDies => self.executor.die(),
        }
    }

    fn keyed(&self) -> Vec<usize> {
        let history = self.world.history();
        let all = history.occurrences.iter().enumerate();
        all.filter(|(_, one)| one.way == Way::Key)
            .map(|(number, _)| number)
            .collect()
    }

    /// Some objects are put at the same moment: they have the same sequencer.
    fn notify(&mut self, count: u64) {
        let dice = self.throw();
        let numbers: Vec<_> = {
            let mut history = self.world.history();
            let sequencer = history.occurrences.len();
            let way = || Way::Notice { sequencer };
            let numbers = (0..count).map(|_| history.add(way(), "kept", Kind::Quick));
            numbers.collect()
        };
        let telling = client::notify(self.world.clone(), self.hub.clone(), numbers, dice);
        self.outside.spawn(telling);
    }

    async fn look(&mut self) {
        let heard: Vec<RequestId> = self.world.history().heard();
        for id in heard {
            let asked = self.world.history().asked(id);
            if let Ok(Some(found)) = self.journal.get(id).await {
                let state = found.state.as_str();
                self.world.fate.pass(Effect::Look(id, state)).await;
                self.world.history().see(id, asked, &found);
            }
        }
    }

    /// One more of every kind, and then everything has to come to an end.
    async fn settle(&mut self) {
        self.world.fate.note(|| "settling".to_owned());
        for function in FUNCTIONS {
            let call = Step::Call {
                keyed: true,
                kind: Kind::Quick,
                function,
            };
            self.take(call).await;
        }
        self.take(Step::Notify(1)).await;
        self.take(Step::Produce(1)).await;
        let since = self.world.clock.elapsed();
        loop {
            let idle = self.handle.queue_len() == 0 && self.handle.running() == 0;
            if idle && self.is_settled().await {
                return;
            }
            if self.world.clock.elapsed() > since + SETTLED {
                return self.world.wrong(END_OF_HISTORY, &self.unsettled(idle));
            }
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// What is in the way.
    fn unsettled(&self, idle: bool) -> String {
        let history = self.world.history();
        let all = history.occurrences.iter().enumerate();
        let open = all.filter(|(_, one)| !one.settled && !one.past);
        let open: Vec<_> = open.map(|(number, _)| number).collect();
        let read = self.world.topic().is_read();
        format!("not settled within {SETTLED:?}: unheard {open:?}, log read {read}, idle {idle}")
    }

    async fn is_settled(&self) -> bool {
        let told = {
            let history = self.world.history();
            let mut all = history.occurrences.iter();
            all.all(|one| one.settled || one.past) && self.world.topic().is_read()
        };
        let counts = self.journal.counts().await;
        told && counts.is_ok_and(|counts| counts.iter().all(|(_, state, _)| state.is_end()))
    }
}

/// Removes as the binary does: when a life begins, and from time to time.
async fn upkeep(world: Arc<World>, journal: Arc<Between>, retention: Retention) {
    loop {
        // What became of it is seen in the records.
        let _ = journal.purge(&retention, world.clock.now()).await;
        sleep(UPKEEP).await;
    }
}

fn nth<T: Copy>(all: &[T], which: u64) -> Option<T> {
    let count = all.len() as u64;
    let place = which.checked_rem(count)?;
    all.get(usize::try_from(place).ok()?).copied()
}
