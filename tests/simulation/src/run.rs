//! A whole history, from its seed.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tripline_model::Invocation;

use crate::aftermath::{self, Classes};
use crate::check::{END_OF_HISTORY, check};
use crate::dice::Dice;
use crate::disk::{Disk, Flaws, Image};
use crate::fate::Fate;
use crate::life::{self, LifePlan};
use crate::mutant::Mutant;
use crate::script::{Settings, Timed, retention, steps};
use crate::vfs::{self, Mount};
use crate::world::World;

/// Scripts of which a block of seeds tries every effect of the first life.
const SCRIPTS: u64 = 32;

/// Seeds of a block: each script has its first life ended at its effects 1, 2, 3 and so on.
const BLOCK: u64 = 8192;

/// One script out of so many has a hub that removes what has ended.
const REMOVING: u64 = 4;

/// What came of a seed.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// What is wrong; empty if nothing is.
    pub wrong: Vec<String>,
    /// What its crashes were like.
    pub classes: Classes,
    /// Effects of all its lives.
    pub effects: u64,
    /// Stands for everything that happened, in its order.
    pub hash: u64,
    /// Everything that happened, a line each, if it was asked for.
    pub trace: Vec<String>,
}

/// How a history goes.
struct Plan {
    settings: Settings,
    /// Each life: at which effect it ends, or not; its steps.
    lives: Vec<(Option<u64>, Vec<Timed>, LifePlan)>,
    /// After so many syncs of the first life, one fails.
    failing_sync: Option<u64>,
    /// For what the disk does, and what happens while the hub is away.
    dice: Dice,
}

impl Plan {
    fn of(seed: u64) -> Self {
        let (block, place) = (seed / BLOCK, seed % BLOCK);
        let script = block * SCRIPTS + place % SCRIPTS;
        let first_crash = place / SCRIPTS + 1;
        // The first life of a script is the same for all its seeds, but for its end.
        let mut of_script = Dice::new(script, 1);
        let mut dice = Dice::new(seed, 2);
        let mut settings = Settings::any(&mut of_script);
        let removes = script.is_multiple_of(REMOVING);
        settings.retention = removes.then(|| retention(&mut Dice::new(script, 6)));
        let failing_sync = dice.once_in(12).then(|| dice.below(16));
        let first = LifePlan {
            dice: Dice::new(script, 3),
            last: false,
            graceful: dice.once_in(2),
        };
        let crash = failing_sync.is_none().then_some(first_crash);
        let mut lives = vec![(crash, steps(&mut of_script, 9), first)];
        for _ in 0..dice.below(2) {
            // Often while it still recovers.
            let range = dice.pick(&[20, 60, 250]);
            let plan = LifePlan {
                dice: Dice::new(dice.throw(), 4),
                last: false,
                graceful: dice.once_in(2),
            };
            let crash = Some(1 + dice.below(range));
            lives.push((crash, steps(&mut dice, 3), plan));
        }
        let last = LifePlan {
            dice: Dice::new(dice.throw(), 5),
            last: true,
            graceful: true,
        };
        lives.push((None, steps(&mut dice, 1), last));
        Self {
            settings,
            lives,
            failing_sync,
            dice,
        }
    }
}

/// Lives through the history of a seed, with a hub that is as it should be, or with a mutant.
pub fn run(seed: u64, mutant: Option<Mutant>, trace: bool) -> Outcome {
    let plan = Plan::of(seed);
    let fate = Arc::new(Fate::new(trace));
    let dir = folder();
    let flaws = mutant.map_or_else(Flaws::default, Mutant::flaws);
    let mut disk = Disk::new(fate.clone(), dir.path(), flaws);
    if !plan.settings.empty_disk {
        disk.load(image());
    }
    let mount = vfs::mount(disk);
    let failing = plan.failing_sync;
    let world = Arc::new(World::new(
        fate.clone(),
        plan.settings,
        mutant,
        failing.is_some(),
    ));
    mount.borrow_mut().disk.fail_sync_after(failing);
    let (mut steps, mut dice) = (VecDeque::new(), plan.dice);
    let (mut left, mut effects) = (Vec::new(), 0);
    for (place, (crash, more, plan)) in plan.lives.into_iter().enumerate() {
        steps.extend(more);
        fate.new_life(crash);
        fate.note(|| format!("--- life {place} ---"));
        left = one_life(&world, dir.path(), &mut steps, &plan);
        effects += fate.count();
        if mount.borrow().shared.open() > 0 {
            world.wrong(END_OF_HISTORY, "a connection to the journal is left open");
        }
        if !plan.last {
            away(&world, &mount, &mut dice);
        }
    }
    left.extend(world.removals().gone(&left));
    let wrong = check(&world, &left);
    let classes = world.classes().clone();
    Outcome {
        seed,
        wrong,
        classes,
        effects,
        hash: fate.hash(),
        trace: fate.take_trace(),
    }
}

/// A folder for what the journal does beside SQLite: its lock and its reserve. In memory, where there is such a place.
fn folder() -> tempfile::TempDir {
    let in_memory = Path::new("/dev/shm");
    let made = if in_memory.is_dir() {
        tempfile::tempdir_in(in_memory)
    } else {
        tempfile::tempdir()
    };
    made.expect("a folder can be made for temporary files")
}

/// A disk on which a hub was started and stopped once.
fn image() -> &'static Image {
    static IMAGE: OnceLock<Image> = OnceLock::new();
    IMAGE.get_or_init(|| {
        let (fate, dir) = (Arc::new(Fate::new(false)), folder());
        let mount = vfs::mount(Disk::new(fate.clone(), dir.path(), Flaws::default()));
        let settings = Settings::any(&mut Dice::new(0, 0));
        let world = World::new(fate, settings, None, false);
        executor().block_on(life::format(&world, dir.path()));
        let mounted = mount.borrow();
        mounted.disk.image()
    })
}

fn executor() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let built = builder.enable_time().start_paused(true).build();
    built.expect("an executor without threads can be made")
}

/// What the last life leaves; what a crash ends leaves nothing.
fn one_life(
    world: &Arc<World>,
    dir: &Path,
    steps: &mut VecDeque<Timed>,
    plan: &LifePlan,
) -> Vec<Invocation> {
    let executor = executor();
    let left = executor.block_on(async {
        world.clock.begin_life(Duration::ZERO);
        world.history().accepted.push(Vec::new());
        let left = tokio::select! {
            biased;
            () = world.fate.ended() => Vec::new(),
            left = life::live(world, dir, steps, plan) => left,
        };
        world.clock.end_life();
        left
    });
    drop(executor);
    if let Some(effect) = world.fate.ended_by() {
        aftermath::note_crash(world, &effect, world.fate.stage());
    }
    left
}

/// What happens between two lives.
fn away(world: &World, mount: &Mount, dice: &mut Dice) {
    world.ledger().hub_dies();
    let disk = &mut mount.borrow_mut().disk;
    if dice.below(3) > 0 {
        let damage = disk.cut_power(dice);
        world.ledger().executor_dies();
        let mut classes = world.classes();
        for (class, count) in [
            ("power cut: dropped", damage.dropped),
            ("power cut: torn", damage.torn),
            ("power cut: overtook", damage.overtook),
        ] {
            *classes.entry(class).or_default() += count;
        }
        world.fate.note(|| format!("the power is cut: {damage:?}"));
    } else {
        disk.kill();
        world.ledger().go_on(world.clock.as_ref(), dice);
        if dice.once_in(6) {
            world.ledger().executor_dies();
        }
        world.fate.note(|| "killed".to_owned());
    }
    world
        .clock
        .jump(dice.pick(&[0, 0, 50, 900, 5000, -2000, 90_000_000]));
}
