//! What the dispatcher of a simulated hub is made of.

use std::sync::Arc;
use std::time::Duration;

use tripline_dispatcher::{DispatcherConfig, DispatcherParts, Entropy};
use tripline_journal::MemoryLogStore;
use tripline_model::{Execution, Function};

use crate::between::Between;
use crate::dice::Dice;
use crate::executor::SimRuntime;
use crate::history::function_name;
use crate::mutant::Mutant;
use crate::script::FUNCTIONS;
use crate::world::World;

/// The parts; `seed` is for its ids.
pub(crate) fn parts(
    world: &Arc<World>,
    journal: Arc<Between>,
    executor: Arc<SimRuntime>,
    seed: u64,
) -> DispatcherParts {
    let settings = &world.settings;
    let mut config = DispatcherConfig {
        qps: settings.qps,
        max_queued: settings.max_queued,
        drain: Duration::from_secs(1),
        ..DispatcherConfig::for_tests()
    };
    if world.is(Mutant::WallClockLimit) {
        config.qps = DispatcherConfig::for_tests().qps;
    }
    let function = |name: &str| Function {
        name: function_name(name),
        execution: Execution::Async,
        runtime: if name == "kept" { "held" } else { "direct" },
        timeout: settings.timeout,
        grace: Duration::from_secs(1),
        concurrency: settings.concurrency,
        qps: None,
        max_queued: settings.max_queued,
        max_event_age: settings.max_event_age,
        max_result_bytes: 1024,
        max_log_bytes: 1024,
    };
    DispatcherParts {
        config,
        functions: FUNCTIONS.iter().map(|name| function(name)).collect(),
        journal,
        logs: Arc::new(MemoryLogStore::new()),
        runtimes: vec![executor, SimRuntime::direct(world)],
        clock: world.clock.clone(),
        entropy: entropy(seed),
    }
}

fn entropy(seed: u64) -> Entropy {
    let mut dice = Dice::new(seed, 1);
    Box::new(move || {
        let mut bytes = [0; 10];
        bytes[..8].copy_from_slice(&dice.throw().to_be_bytes());
        bytes
    })
}
