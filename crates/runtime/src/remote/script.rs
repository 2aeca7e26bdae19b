//! A scripted executor: it does what a function's name says (`answers`, `fails`, `hangs`, `cannot-start`), or sends
//! what the test emits.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::Instant;
use tripline_executor::client::RunEvent;
use tripline_executor::protocol::{self, HeldRun, Outcome, RunEnd, StopHow};
use tripline_model::RequestId;

use super::{Events, Link};

#[derive(Default)]
pub(crate) struct Script {
    /// The calls of the hub, in words.
    pub(crate) calls: Mutex<Vec<String>>,
    /// The starts as they were requested.
    pub(crate) starts: Mutex<Vec<protocol::Start>>,
    /// The event of the last start.
    pub(crate) data: Mutex<Bytes>,
    runs: Mutex<BTreeMap<RequestId, Arc<ScriptRun>>>,
}

#[derive(Default)]
struct ScriptRun {
    function: String,
    due: Option<Instant>,
    events: Mutex<VecDeque<RunEvent>>,
    news: Notify,
}

struct ScriptEvents(Arc<ScriptRun>);

pub(crate) fn outcome(end: RunEnd, reason: &str) -> Outcome {
    Outcome {
        end,
        reason: reason.to_owned(),
        detail: None,
        at_ms: 7_000,
        duration_ms: 12,
        peak_memory_bytes: Some(4096),
        memory_limit_bytes: Some(8192),
        exit_code: None,
        signal: None,
        result_cut: false,
    }
}

pub(crate) fn ended(end: RunEnd, reason: &str, result: Bytes, reclaimed: bool) -> RunEvent {
    RunEvent::Ended {
        outcome: outcome(end, reason),
        result,
        reclaimed,
    }
}

impl Script {
    pub(crate) fn new() -> Arc<Self> {
        Arc::default()
    }

    /// A run of an earlier life.
    pub(crate) fn hold(&self, id: RequestId) {
        let run = ScriptRun {
            function: "held".to_owned(),
            ..ScriptRun::default()
        };
        self.runs.lock().unwrap().insert(id, Arc::new(run));
    }

    /// Lets the executor send an event of a run.
    pub(crate) fn emit(&self, id: RequestId, event: RunEvent) {
        if let Some(run) = self.runs.lock().unwrap().get(&id) {
            run.events.lock().unwrap().push_back(event);
            run.news.notify_one();
        }
    }

    pub(crate) fn calls(&self) -> Vec<String> {
        self.calls.lock().unwrap().clone()
    }

    fn record(&self, words: String) {
        self.calls.lock().unwrap().push(words);
    }
}

#[async_trait]
impl Link for Script {
    fn held(&self) -> Vec<HeldRun> {
        let runs = self.runs.lock().unwrap();
        let held = runs.iter().map(|(id, run)| HeldRun {
            run: id.to_string(),
            function: run.function.clone(),
            ended: false,
        });
        held.collect()
    }

    async fn start(&self, start: protocol::Start, data: Bytes) -> Result<Box<dyn Events>, String> {
        let id: RequestId = start.run.parse().unwrap();
        let function = start.function.clone();
        if function == "cannot-start" {
            return Err("there is no executor".to_owned());
        }
        let hangs = function == "hangs";
        let due = Instant::now() + Duration::from_millis(start.timeout_ms);
        let run = Arc::new(ScriptRun {
            function: function.clone(),
            due: hangs.then_some(due),
            ..ScriptRun::default()
        });
        self.starts.lock().unwrap().push(start);
        *self.data.lock().unwrap() = data.clone();
        self.runs.lock().unwrap().insert(id, run.clone());
        match function.as_str() {
            "answers" => self.emit(id, ended(RunEnd::Succeeded, "exit_code", data, true)),
            "fails" => self.emit(id, ended(RunEnd::Failed, "exit_code", data, true)),
            _ => {}
        }
        Ok(Box::new(ScriptEvents(run)))
    }

    async fn attach(&self, id: RequestId, after: u64) -> Option<Box<dyn Events>> {
        let run = self.runs.lock().unwrap().get(&id).cloned()?;
        self.record(format!("attach {after}"));
        Some(Box::new(ScriptEvents(run)))
    }

    fn stop(&self, id: RequestId, how: StopHow) {
        if let StopHow::Kill(reason) = &how {
            self.emit(id, ended(RunEnd::Terminated, reason, Bytes::new(), true));
        }
        self.record(format!("stop {how:?}"));
    }

    fn kept(&self, _id: RequestId, line: u64) {
        self.record(format!("kept {line}"));
    }

    fn forget(&self, id: RequestId) {
        self.runs.lock().unwrap().remove(&id);
        self.record("forget".to_owned());
    }

    fn renew(&self, _id: RequestId, credentials: protocol::Credentials) {
        self.record(format!("renew {}", credentials.access_key));
    }
}

#[async_trait]
impl Events for ScriptEvents {
    async fn next(&mut self) -> RunEvent {
        loop {
            if let Some(event) = self.0.events.lock().unwrap().pop_front() {
                return event;
            }
            let late = async {
                match self.0.due {
                    Some(due) => tokio::time::sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = self.0.news.notified() => {}
                () = late => return ended(RunEnd::TimedOut, "timeout", Bytes::new(), true),
            }
        }
    }
}
