//! Ways for a hub to be unlucky.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::dice::Dice;
use crate::tracer::{Fault, HUB_SPEAKS, MESSAGES, Tracer, threads};
use crate::world::{World, end, now};

/// How much later a hub that speaks slowly says each thing, in milliseconds.
const SLOW: u64 = 60;

/// What is killed, and when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Strike {
    /// The hub at any moment.
    Hub,
    /// The hub, and its next life before it is ready.
    HubWhileStarting,
    /// The hub after it was told to end, while it drains.
    HubWhileEnding,
    /// The hub while its executor stands still: what ends then is told to the next life.
    HubBesideHaltedExecutor,
    /// The hub while it speaks slowly: ends are durable of which its executor has not heard.
    HubThatSpeaksSlowly,
    /// The executor alone.
    Executor,
    /// The executor, then the hub.
    ExecutorThenHub,
    /// The hub, then its executor, which could not report any more.
    HubThenExecutor,
    /// Hub, executor and every function: the machine.
    Everything,
    /// A function that runs.
    Function,
    /// The power of the machine, whose disk forgets what was not flushed.
    Power,
}

// === impl Strike ===

impl Strike {
    /// What a process can do to another.
    pub(crate) const KILLS: [Self; 10] = [
        Self::Hub,
        Self::HubWhileStarting,
        Self::HubWhileEnding,
        Self::HubBesideHaltedExecutor,
        Self::HubThatSpeaksSlowly,
        Self::Executor,
        Self::ExecutorThenHub,
        Self::HubThenExecutor,
        Self::Everything,
        Self::Function,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hub => "hub",
            Self::HubWhileStarting => "hub, again while it starts",
            Self::HubWhileEnding => "hub while it drains",
            Self::HubBesideHaltedExecutor => "hub beside a halted executor",
            Self::HubThatSpeaksSlowly => "hub that speaks slowly",
            Self::Executor => "executor",
            Self::ExecutorThenHub => "executor, then hub",
            Self::HubThenExecutor => "hub, then executor",
            Self::Everything => "hub, executor and functions",
            Self::Function => "a function",
            Self::Power => "power",
        }
    }

    /// Whether it leaves no hub, but all that its executor runs.
    pub(crate) const fn ends_hubs_only(self) -> bool {
        matches!(
            self,
            Self::Hub
                | Self::HubWhileStarting
                | Self::HubWhileEnding
                | Self::HubBesideHaltedExecutor
                | Self::HubThatSpeaksSlowly
        )
    }

    /// Strikes. Afterwards the hub lives or not, as the world knows.
    pub(crate) async fn fall(self, world: &mut World, dice: &mut Dice) {
        match self {
            Self::Hub => world.kill_hub().await,
            Self::HubWhileStarting => {
                world.kill_hub().await;
                begin_and_kill(world, Duration::from_millis(dice.between(5, 250))).await;
            }
            Self::HubWhileEnding => {
                world.hub.signal(Signal::SIGTERM);
                tokio::time::sleep(Duration::from_millis(dice.between(0, 60))).await;
                world.kill_hub().await;
            }
            Self::HubBesideHaltedExecutor => {
                let executors = world.hub.executors();
                executors.iter().for_each(|one| one.signal(Signal::SIGSTOP));
                tokio::time::sleep(Duration::from_millis(dice.between(20, 200))).await;
                world.kill_hub().await;
                executors.iter().for_each(|one| one.signal(Signal::SIGCONT));
            }
            Self::HubThatSpeaksSlowly => {
                let threads = threads(world.hub.pid(), Some(HUB_SPEAKS));
                let slow = Tracer::attach(&threads, MESSAGES, Fault::Delay(SLOW)).await;
                // Its executor reports that end in a moment, the journal has it in another; then it is to be acknowledged.
                a_function_ends(world).await;
                tokio::time::sleep(Duration::from_millis(dice.between(SLOW, 2 * SLOW))).await;
                world.kill_hub().await;
                drop(slow);
            }
            Self::Executor => world.kill_executors(),
            Self::ExecutorThenHub => {
                world.kill_executors();
                tokio::time::sleep(Duration::from_millis(dice.between(0, 20))).await;
                world.kill_hub().await;
            }
            Self::HubThenExecutor => {
                world.kill_hub().await;
                tokio::time::sleep(Duration::from_millis(dice.between(0, 100))).await;
                world.kill_executors();
            }
            Self::Everything => {
                world.kill_executors();
                world.kill_functions(usize::MAX);
                world.kill_hub().await;
            }
            Self::Function => world.kill_functions(1),
            Self::Power => {
                // From here on nobody on this machine says a word: a receipt after the cut would be a lie of the test, for
                // a flush under way may be told as done by a file system that is being shut down.
                let (begun, executors) = (now(), world.hub.executors());
                world.hub.signal(Signal::SIGSTOP);
                executors.iter().for_each(|one| one.signal(Signal::SIGSTOP));
                world.cut_power();
                executors.iter().for_each(|executor| end(executor.pid));
                world.executor_deaths.push([begun, now()]);
                world.kill_hub().await;
                world.kill_functions(usize::MAX);
                world.groups.forget();
                world.disk().repair().await;
            }
        }
    }
}

/// Waits until a function has done its last deed; not for ever, for all may stand still.
async fn a_function_ends(world: &World) {
    let ends = || {
        let ledger = world.hub.lines("ledger");
        ledger
            .iter()
            .filter(|line| line.starts_with("end "))
            .count()
    };
    let before = ends();
    let ending = async {
        while ends() == before {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    let _none = tokio::time::timeout(Duration::from_secs(5), ending).await;
}

/// A life that ends before anybody could use it.
async fn begin_and_kill(world: &mut World, after: Duration) {
    world.begins();
    let mut command = world.hub.command(&["serve", "tripline.toml"]);
    if let Some(store) = &world.store {
        command.envs(store.env());
    }
    let begun = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let mut begun = begun.expect("the binary can be started");
    tokio::time::sleep(after).await;
    begun.kill().expect("it is ours to kill");
    begun.wait().expect("it is ours to wait for");
}
