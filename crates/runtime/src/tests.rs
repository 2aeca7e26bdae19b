//! What every runtime does, run against each that goes through executors; and what tests of runtimes share.

pub(crate) mod contract;
pub(crate) mod support;

use std::collections::HashMap;
use std::sync::Arc;

use tripline_model::Clock;

use self::contract::{Behaviour, Subject};
use self::support::{clock, function};
use crate::remote::Remote;
use crate::remote::script::Script;
use crate::{ExecutorRuntime, Runtime};

/// A runtime over an executor that does what the function's name says.
struct Scripted(Arc<dyn Runtime>);

impl Subject for Scripted {
    fn runtime(&self) -> Arc<dyn Runtime> {
        self.0.clone()
    }

    fn function(&self, behaviour: Behaviour) -> tripline_model::Function {
        function(match behaviour {
            Behaviour::Answers => "answers",
            Behaviour::Fails => "fails",
            Behaviour::Hangs => "hangs",
            Behaviour::CannotStart => "cannot-start",
        })
    }
}

fn remote() -> Remote {
    let clock: Arc<dyn Clock> = clock();
    Remote::over(Script::new(), clock, None, HashMap::new())
}

#[tokio::test]
async fn process_keeps_the_contract() {
    let runtime = ExecutorRuntime::process(remote());
    contract::check(&Scripted(Arc::new(runtime))).await;
}

#[tokio::test]
async fn worker_keeps_the_contract() {
    let runtime = ExecutorRuntime::worker(remote());
    contract::check(&Scripted(Arc::new(runtime))).await;
}
