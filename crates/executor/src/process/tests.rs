//! Real processes: `sh` and the usual small tools.

mod credentials;
mod ends;
mod environment;
mod limits;
mod nasty;
mod output;
mod spawners;
mod trees;
mod users;

use std::collections::BTreeMap;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tripline_model::{RequestId, Timestamp};
use tripline_skipped::skipped;

use super::{ProcessStarter, Surroundings};
use crate::instance::{Exit, Instance, Job, StartError, Starter};
use crate::isolation::{Cgroup, Isolator};
use crate::protocol::{Credentials, FunctionSpec, Isolation, Kind, Limits, Start, Value};
use crate::tests::{Recorded, eventually};

const NOW: Timestamp = Timestamp::from_millis(1_795_555_058_243);

/// A place to run one function in: the function's own folder, with an executor's directory elsewhere.
struct Bench {
    /// Where the function runs.
    dir: TempDir,
    data: TempDir,
    spec: FunctionSpec,
    start: Start,
    event: Bytes,
    id: RequestId,
    executor_id: String,
    output: Arc<Recorded>,
    surroundings: OnceLock<Surroundings>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        if let Some(surroundings) = self.surroundings.get() {
            surroundings.isolation.close();
        }
    }
}

impl Bench {
    /// A function that is a shell script.
    fn script(script: &str) -> Self {
        Self::command(&["sh", "-c", script])
    }

    fn command(words: &[&str]) -> Self {
        let (dir, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let id = RequestId::new(NOW, uuid_bytes(dir.path().as_os_str().as_encoded_bytes()));
        Self {
            spec: FunctionSpec {
                name: "resize".to_owned(),
                kind: Kind::Process,
                command: words.iter().map(|word| (*word).to_owned()).collect(),
                env: BTreeMap::new(),
                working_dir: dir.path().to_owned(),
                search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
                user: None,
                limits: Limits::default(),
                isolation: Isolation::BestEffort,
            },
            start: Start {
                run: id.to_string(),
                function: "resize".to_owned(),
                variables: BTreeMap::new(),
                remarks: Vec::new(),
                credentials: None,
                timeout_ms: 20_000,
                grace_ms: 200,
                deadline_ms: 1_795_555_078_243,
                max_result_bytes: 1024,
                max_log_bytes: 1024,
            },
            executor_id: format!("test-{id}-{}", std::process::id()),
            event: Bytes::new(),
            output: Arc::default(),
            surroundings: OnceLock::new(),
            dir,
            data,
            id,
        }
    }

    fn with_data(mut self, data: impl Into<Bytes>) -> Self {
        self.event = data.into();
        self
    }

    fn with_env(mut self, name: &str, value: &str) -> Self {
        self.spec.env.insert(name.to_owned(), Value::new(value));
        self
    }

    fn with_limits(mut self, limits: Limits) -> Self {
        self.spec.limits = limits;
        self
    }

    fn with_variable(mut self, name: &str, value: &str) -> Self {
        self.start
            .variables
            .insert(name.to_owned(), value.to_owned());
        self
    }

    fn data_dir(&self) -> PathBuf {
        self.data.path().join("data")
    }

    fn executor_dir(&self) -> PathBuf {
        self.data_dir().join("executors").join(&self.executor_id)
    }

    /// That of the first process of a starter.
    fn scratch(&self) -> PathBuf {
        self.executor_dir().join("scratch/resize/0")
    }

    fn surroundings(&self) -> Surroundings {
        self.surroundings_with(Isolator::detect)
    }

    /// As on a machine that is made so; before anything else is asked of it.
    fn surroundings_with(&self, detect: fn(&str, &Path, &Path) -> Isolator) -> Surroundings {
        let make = || {
            let dir = self.executor_dir();
            // As the hub makes it.
            let mut builder = std::fs::DirBuilder::new();
            builder.recursive(true).mode(0o700).create(&dir).unwrap();
            let isolation = detect(&self.executor_id, &dir, &self.data_dir());
            Surroundings {
                executor_id: self.executor_id.clone(),
                dir,
                isolation: Arc::new(isolation),
                scratches: Arc::default(),
            }
        };
        self.surroundings.get_or_init(make).clone()
    }

    fn job(&self) -> Job {
        Job {
            id: self.id,
            spec: Arc::new(self.spec.clone()),
            start: self.start.clone(),
            data: self.event.clone(),
            output: self.output.clone(),
        }
    }

    async fn start(&self) -> Result<Run, StartError> {
        let starter = ProcessStarter::new(self.surroundings());
        Ok(Run {
            instance: starter.start(self.job()).await?,
            scratch: self.scratch(),
        })
    }

    /// Runs to the end; a run that hangs fails the test.
    async fn run(&self) -> Exit {
        self.start().await.unwrap().end().await
    }

    /// Reads a file that the function writes, once it holds a whole line.
    async fn file(&self, name: &str) -> String {
        let path = self.dir.path().join(name);
        let mut text = String::new();
        eventually(&path.display().to_string(), || {
            text = std::fs::read_to_string(&path).unwrap_or_default();
            text.ends_with('\n')
        })
        .await;
        text.trim().to_owned()
    }
}

/// A run of a function.
struct Run {
    instance: Box<dyn Instance>,
    scratch: PathBuf,
}

impl Run {
    /// Waits for the end and reclaims it.
    async fn end(mut self) -> Exit {
        let over = async {
            self.instance.wait().await;
            self.instance.reclaim().await
        };
        let exit = tokio::time::timeout(Duration::from_secs(30), over).await;
        let exit = exit.expect("the run hangs");
        assert!(exit.remains.is_none(), "something is left");
        // The next process may get it, but never what was in it.
        let left = std::fs::read_dir(&self.scratch).map_or(0, Iterator::count);
        assert_eq!(left, 0, "something is left in its scratch");
        exit
    }
}

/// Whether a process exists and is more than a zombie.
fn is_alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Whether processes can be held together for certain here; says so where a test depends on it.
fn has_groups(bench: &Bench, what: &str) -> bool {
    let surroundings = bench.surroundings();
    let level = surroundings.isolation.level();
    let certain = level.cgroup == Cgroup::V1 && level.pids;
    if !certain {
        skipped(what, "no control groups v1 can be made here");
    }
    certain
}

fn credentials(number: u8) -> Credentials {
    Credentials {
        access_key: format!("AKIA{number}"),
        secret_key: Value::new(format!("secret{number}")),
        session_token: Value::new(format!("token{number}")),
        expires_ms: NOW.as_millis(),
    }
}

/// Ten bytes that differ from test to test.
fn uuid_bytes(text: &[u8]) -> [u8; 10] {
    let mut bytes = [0; 10];
    for (at, byte) in text.iter().rev().enumerate() {
        bytes[at % 10] ^= byte.rotate_left((at / 10) as u32);
    }
    bytes
}
