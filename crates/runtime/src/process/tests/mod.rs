//! Real processes: `sh` and the usual small tools.

mod ends;
mod environment;
mod output;
mod trees;

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tempfile::TempDir;
use tripline_model::{
    End, Ending, Event, Execution, Function, FunctionName, Invocation, InvocationState, LogStream,
    ManualClock, RequestId, Timestamp,
};

use super::{EnvValue, ProcessRuntime, ProcessSpec};
use crate::{Output, Start, StopSignal, Stopper, run_to_end, stop_channel};

const NOW: Timestamp = Timestamp::from_millis(1_795_555_058_243);

/// Keeps lines in memory.
#[derive(Default)]
struct Recorded(Mutex<Vec<(LogStream, Bytes)>>);

#[async_trait]
impl Output for Recorded {
    async fn lines(&self, stream: LogStream, lines: Vec<Bytes>) {
        let lines = lines.into_iter().map(|line| (stream, line));
        self.0.lock().unwrap().extend(lines);
    }
}

/// A place to run one function in.
struct Bench {
    dir: TempDir,
    spec: ProcessSpec,
    function: Function,
    event: Event,
    id: RequestId,
    hub_id: String,
    output: Arc<Recorded>,
    /// Held, so that the signal never ends.
    stopper: Stopper,
    signal: StopSignal,
}

impl Bench {
    /// A function that is a shell script.
    fn script(script: &str) -> Self {
        Self::command(&["sh", "-c", script])
    }

    fn command(words: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        let spec = ProcessSpec {
            command: words.iter().map(|word| (*word).to_owned()).collect(),
            env: Vec::new(),
            working_dir: dir.path().to_owned(),
        };
        let (stopper, signal) = stop_channel();
        let unique = *uuid_bytes(dir.path().as_os_str().as_encoded_bytes());
        Self {
            spec,
            function: function(),
            event: event(),
            id: RequestId::new(NOW, unique),
            hub_id: format!("hub-{}", dir.path().display()),
            dir,
            output: Arc::default(),
            stopper,
            signal,
        }
    }

    fn with_data(mut self, data: impl Into<Bytes>) -> Self {
        self.event.data = Some(data.into());
        self
    }

    fn with_env(mut self, name: &str, value: &str) -> Self {
        self.spec.env.push((name.to_owned(), EnvValue::new(value)));
        self
    }

    fn runtime(&self) -> ProcessRuntime {
        ProcessRuntime::new(
            [(self.function.name.clone(), self.spec.clone())].into(),
            self.dir.path().join("scratch"),
            self.hub_id.clone(),
            "/usr/local/bin:/usr/bin:/bin".into(),
        )
    }

    fn start(&self) -> Start {
        Start {
            invocation: Invocation {
                request_id: self.id,
                function: self.function.name.clone(),
                trigger: None,
                state: InvocationState::Running,
                accepted_at: NOW,
                started_at: Some(NOW),
                ending: None,
                data_len: self.event.data_len() as u64,
                event: self.event.clone(),
            },
            function: Arc::new(self.function.clone()),
            deadline: NOW.plus(self.function.timeout),
            output: self.output.clone(),
        }
    }

    /// Runs to the end; a run that hangs fails the test.
    async fn run(&self) -> Ending {
        let (runtime, clock) = (self.runtime(), ManualClock::at(NOW));
        let run = run_to_end(&runtime, self.start(), self.signal.clone(), &clock);
        let ending = tokio::time::timeout(Duration::from_secs(30), run)
            .await
            .expect("the run hangs");
        let scratch = self.dir.path().join("scratch");
        assert_eq!(
            std::fs::read_dir(scratch).unwrap().count(),
            0,
            "scratch is left"
        );
        ending
    }

    /// Text of the lines of a stream.
    fn lines(&self, stream: LogStream) -> Vec<String> {
        let lines = self.output.0.lock().unwrap();
        let of_stream = lines.iter().filter(|(from, _)| *from == stream);
        of_stream
            .map(|(_, line)| String::from_utf8_lossy(line).into_owned())
            .collect()
    }

    /// Reads a file that the function writes, once it holds a whole line.
    async fn file(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        for _ in 0..1000 {
            match std::fs::read_to_string(&path) {
                Ok(text) if text.ends_with('\n') => return text.trim().to_owned(),
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
        panic!("{} was not written", path.display());
    }
}

fn function() -> Function {
    Function {
        name: FunctionName::new("resize").unwrap(),
        execution: Execution::Async,
        runtime: ProcessRuntime::KIND,
        timeout: Duration::from_secs(20),
        grace: Duration::from_millis(200),
        concurrency: NonZeroU32::MIN,
        qps: None,
        max_queued: 10,
        max_event_age: Duration::from_secs(3600),
        max_result_bytes: 1024,
        max_log_bytes: 1024,
    }
}

fn event() -> Event {
    Event {
        id: "e-1".to_owned(),
        source: "/test".to_owned(),
        kind: "test.v1".to_owned(),
        subject: None,
        time: NOW,
        content_type: None,
        data: None,
        extensions: BTreeMap::new(),
    }
}

/// Ten bytes that differ from test to test.
fn uuid_bytes(text: &[u8]) -> Box<[u8; 10]> {
    let mut bytes = Box::new([0; 10]);
    for (at, byte) in text.iter().rev().enumerate() {
        bytes[at % 10] ^= byte.rotate_left((at / 10) as u32);
    }
    bytes
}

/// Whether a process exists and is more than a zombie.
fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn result(ending: &Ending) -> &[u8] {
    ending.result.as_deref().unwrap_or_default()
}

fn assert_end(ending: &Ending, end: End, reason: &str) {
    assert_eq!(
        (ending.end, ending.reason.as_str()),
        (end, reason),
        "{ending:?}"
    );
}
