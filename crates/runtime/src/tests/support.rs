//! Short ways to say what the tests are about.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tripline_model::{
    Event, Execution, Function, FunctionName, Invocation, InvocationState, ManualClock, RequestId,
    Timestamp,
};

use crate::{NumberedLine, Output, Start};

/// When the tests take place.
pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_795_555_058_243);

/// An output that keeps what it gets.
#[derive(Default)]
pub(crate) struct Kept {
    lines: Mutex<Vec<String>>,
    pub(crate) numbers: Mutex<Vec<u64>>,
    /// Whether what it got is never on disk.
    pub(crate) stuck: AtomicBool,
    /// While it is locked, nothing is taken.
    pub(crate) full: tokio::sync::Mutex<()>,
}

impl Kept {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    pub(crate) fn texts(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }
}

#[async_trait]
impl Output for Kept {
    async fn lines(&self, lines: Vec<NumberedLine>) {
        let _room = self.full.lock().await;
        for line in lines {
            if line.number > self.last_number().await {
                let text = String::from_utf8_lossy(&line.text).into_owned();
                self.lines.lock().unwrap().push(text);
                self.numbers.lock().unwrap().push(line.number);
            }
        }
    }

    async fn kept(&self) {
        if self.stuck.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
    }

    async fn last_number(&self) -> u64 {
        let numbers = self.numbers.lock().unwrap();
        numbers.last().copied().unwrap_or(0)
    }
}

pub(crate) fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(NOW))
}

pub(crate) fn function(name: &str) -> Function {
    Function {
        name: FunctionName::new(name).unwrap(),
        execution: Execution::Async,
        runtime: "process",
        timeout: Duration::from_secs(60),
        grace: Duration::from_secs(1),
        concurrency: NonZeroU32::MIN,
        qps: None,
        max_queued: 10,
        max_event_age: Duration::from_secs(60),
        max_result_bytes: 1 << 20,
        max_log_bytes: 1 << 20,
    }
}

/// A running invocation of the function, with an id of its own and the data `the event`.
pub(crate) fn invocation(function: &Function) -> Invocation {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut unique = [0; 10];
    unique[2..].copy_from_slice(&NEXT.fetch_add(1, Ordering::SeqCst).to_be_bytes());
    Invocation {
        request_id: RequestId::new(NOW, unique),
        function: function.name.clone(),
        trigger: None,
        state: InvocationState::Running,
        accepted_at: NOW,
        started_at: Some(NOW),
        ending: None,
        event: Event {
            id: "e-1".to_owned(),
            source: "/test".to_owned(),
            kind: "test.v1".to_owned(),
            subject: None,
            time: NOW,
            content_type: Some("text/plain".to_owned()),
            data: Some(Bytes::from_static(b"the event")),
            extensions: BTreeMap::new(),
        },
        data_len: 9,
    }
}

pub(crate) fn start(invocation: Invocation, function: Function, output: Arc<Kept>) -> Start {
    Start {
        invocation,
        deadline: NOW.plus(function.timeout),
        function: Arc::new(function),
        output,
    }
}
