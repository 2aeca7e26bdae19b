//! Takes up what earlier lives of the hub left running: in its lane, with its slot, and as stoppable as any other run.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use tracing::Instrument;
use tripline_model::{Execution, Function, FunctionName, Invocation, RequestId};
use tripline_runtime::{Runtime, Stop};

use crate::lane::Lane;
use crate::recovery::Recovered;
use crate::run::{Begin, EndRecord};
use crate::shared::{Shared, Stoppable};

/// How a run is stopped whose function is not there any more.
const FUNCTION_REMOVED: Stop = Stop::Kill("function_removed");

// === impl Shared ===

impl Shared {
    /// Takes up what was left. Call it before anything is started: the slots are taken when it returns.
    pub(crate) fn take_up(self: &Arc<Self>, left: Recovered) {
        for (invocation, runtime) in left.resumed {
            self.resume(invocation, runtime);
        }
        for (id, function, runtime) in left.over {
            self.clear_away(id, &function, runtime);
        }
    }

    fn resume(self: &Arc<Self>, invocation: Invocation, runtime: Arc<dyn Runtime>) {
        let id = invocation.request_id;
        let function = invocation.function.clone();
        let (stoppable, signal) = Stoppable::new(runtime.as_ref());
        let lane = match self.lanes.get(&function) {
            Some(lane) => lane.clone(),
            None => {
                tracing::warn!(request_id = %id, %function, "the function is gone; its run is ended");
                stoppable.stop(FUNCTION_REMOVED);
                Arc::new(Lane::new(removed(function.clone()), runtime.clone(), 0, 0))
            }
        };
        self.stoppers().insert(id, stoppable);
        lane.counts().resumed();
        let slot = lane.slots.take_any();
        let shared = self.clone();
        self.tasks.spawn(async move {
            let span = tracing::info_span!("invocation", request_id = %id, %function);
            let begin = Begin::Resume(runtime.as_ref());
            let over = shared.run_to_end(&lane, begin, invocation, signal);
            let over = over.instrument(span).await;
            shared.stoppers().remove(&id);
            if over == EndRecord::Durable {
                shared.reclaim(Some(&lane), runtime.as_ref(), id).await;
            }
            drop(slot);
        });
    }

    /// Ends what is left of a run that is over, or that nobody knows.
    fn clear_away(
        self: &Arc<Self>,
        id: RequestId,
        function: &FunctionName,
        runtime: Arc<dyn Runtime>,
    ) {
        let lane = self.lanes.get(function).cloned();
        let slot = lane.as_ref().map(|lane| lane.slots.take_any());
        let shared = self.clone();
        self.tasks.spawn(async move {
            shared.reclaim(lane.as_deref(), runtime.as_ref(), id).await;
            drop(slot);
        });
    }
}

/// As much of a function as the end of its last runs needs.
fn removed(name: FunctionName) -> Function {
    Function {
        name,
        execution: Execution::Async,
        runtime: "removed",
        timeout: Duration::ZERO,
        grace: Duration::ZERO,
        concurrency: NonZeroU32::MIN,
        qps: None,
        max_queued: 0,
        max_event_age: Duration::ZERO,
        max_result_bytes: 0,
        max_log_bytes: 0,
    }
}
