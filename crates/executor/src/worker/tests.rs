//! Instances that are real processes. Most of them run [`INSTANCE`], whose events are shell commands.

mod api;
mod clients;
mod credentials;
mod event_slot;
mod idle;
mod limits;
mod logs;
mod pool;
mod requests;
mod runs;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use bytes::Bytes;
use tempfile::TempDir;
use tokio::time::timeout;
use tripline_model::{RequestId, Timestamp};

use super::Workers;
use crate::instance::{Exit, How, Instance, Job, StartError, Starter};
use crate::isolation::Isolator;
use crate::process::Surroundings;
use crate::protocol::{
    Credentials, FunctionSpec, Isolation, Kind, Limits, Start, Value, WorkerSpec,
};
use crate::tests::{Recorded, TEST_TIMEOUT, eventually};

/// A client of SCF's Runtime API that takes each event for a shell command.
const INSTANCE: &str = include_str!("tests/instance.sh");

const NOW: Timestamp = Timestamp::from_millis(1_795_555_058_243);

/// An executor's side of workers, with one function.
struct WorkerFixture {
    workers: Arc<Workers>,
    spec: FunctionSpec,
    max_result_bytes: u64,
    isolation: Arc<Isolator>,
    /// What each instance has in its environment.
    mark: String,
    dir: TempDir,
    _data: TempDir,
}

/// A run that was started, and what it wrote.
struct Running {
    instance: Box<dyn Instance>,
    output: Arc<Recorded>,
}

/// A run that is over.
struct Done {
    exit: Exit,
    output: Arc<Recorded>,
}

// === impl WorkerFixture ===

impl WorkerFixture {
    fn new() -> Self {
        Self::running(&["bash", "-c", INSTANCE])
    }

    fn running(command: &[&str]) -> Self {
        let (dir, data) = (TempDir::new().unwrap(), TempDir::new().unwrap());
        let executor_id = format!("test-{}", dir.path().file_name().unwrap().display());
        let executor_dir = data.path().join("executors").join(&executor_id);
        std::fs::create_dir_all(&executor_dir).unwrap();
        let mark = format!("TRIPLINE_EXECUTOR={executor_id}");
        let isolation = Arc::new(Isolator::detect(&executor_id, &executor_dir, data.path()));
        let surroundings = Surroundings {
            executor_id,
            dir: executor_dir,
            isolation: isolation.clone(),
            scratches: Arc::default(),
        };
        let workers = Arc::new(Workers::new(surroundings));
        Self {
            workers,
            spec: spec(command, dir.path().to_owned()),
            max_result_bytes: 1 << 20,
            isolation,
            mark,
            dir,
            _data: data,
        }
    }

    fn with_worker(mut self, change: impl FnOnce(&mut WorkerSpec)) -> Self {
        if let Kind::Worker(worker) = &mut self.spec.kind {
            change(worker);
        }
        self
    }

    fn with_env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.spec.env.insert(name.to_owned(), Value::new(value));
        self
    }

    fn declared(self) -> Self {
        self.declare();
        self
    }

    fn declare(&self) {
        self.workers.declare(&[Arc::new(self.spec.clone())]);
    }

    fn job(&self, event: &str, credentials: Option<Credentials>) -> (Job, Arc<Recorded>) {
        static NEXT: AtomicU8 = AtomicU8::new(0);
        let id = RequestId::new(NOW, [NEXT.fetch_add(1, Ordering::Relaxed); 10]);
        let output = Arc::new(Recorded::default());
        let start = Start {
            run: id.to_string(),
            function: self.spec.name.clone(),
            variables: BTreeMap::new(),
            remarks: Vec::new(),
            credentials,
            timeout_ms: 30_000,
            grace_ms: 200,
            deadline_ms: 1_795_555_088_243,
            max_result_bytes: self.max_result_bytes,
            max_log_bytes: 1 << 20,
        };
        let job = Job {
            id,
            spec: Arc::new(self.spec.clone()),
            start,
            data: Bytes::copy_from_slice(event.as_bytes()),
            output: output.clone(),
        };
        (job, output)
    }

    async fn try_start(&self, event: &str) -> Result<Running, StartError> {
        let (job, output) = self.job(event, None);
        let instance = self.workers.start(job).await?;
        Ok(Running { instance, output })
    }

    async fn start(&self, event: &str) -> Running {
        self.try_start(event).await.expect("it starts")
    }

    async fn start_with_credentials(&self, event: &str, credentials: Credentials) -> Running {
        let (job, output) = self.job(event, Some(credentials));
        let instance = self.workers.start(job).await.expect("it starts");
        Running { instance, output }
    }

    async fn run(&self, event: &str) -> Done {
        self.start(event).await.done().await
    }

    /// How many instances live: children of this process that have the executor's mark.
    fn instances(&self) -> usize {
        let entries = std::fs::read_dir("/proc").unwrap();
        let folders = entries.filter_map(|entry| Some(entry.ok()?.path()));
        folders
            .filter(|folder| is_child(folder) && has_variable(folder, &self.mark))
            .count()
    }

    async fn has_instances(&self, count: usize) {
        let what = format!("{count} instances");
        eventually(&what, || self.instances() == count).await;
    }

    async fn close(self) {
        self.workers.retire();
        timeout(TEST_TIMEOUT, self.workers.gone())
            .await
            .expect("all instances end");
        assert_eq!(self.instances(), 0);
    }
}

// === impl Running ===

impl Running {
    async fn wait(&mut self) {
        timeout(TEST_TIMEOUT, self.instance.wait())
            .await
            .unwrap_or_else(|_| panic!("a run ends; it wrote {:?}", self.output.texts()));
    }

    async fn reclaim(mut self) -> Done {
        let exit = timeout(TEST_TIMEOUT, self.instance.reclaim()).await;
        Done {
            exit: exit.expect("a run is reclaimed"),
            output: self.output,
        }
    }

    async fn done(mut self) -> Done {
        self.wait().await;
        self.reclaim().await
    }
}

// === impl Done ===

impl Done {
    fn result(&self) -> &str {
        assert_eq!(self.exit.how, How::Answered, "{:?}", self.output.texts());
        std::str::from_utf8(&self.exit.result).unwrap()
    }
}

fn spec(command: &[&str], working_dir: PathBuf) -> FunctionSpec {
    FunctionSpec {
        name: "resize".to_owned(),
        kind: Kind::Worker(WorkerSpec {
            min_instances: 0,
            max_instances: 4,
            idle_timeout_ms: 600_000,
            init_timeout_ms: 30_000,
            handler: None,
            role: false,
        }),
        command: command.iter().map(|word| (*word).to_owned()).collect(),
        env: BTreeMap::new(),
        working_dir,
        search_path: std::env::var("PATH").unwrap_or_default(),
        user: None,
        limits: Limits::default(),
        isolation: Isolation::BestEffort,
    }
}

fn credentials(name: &str) -> Credentials {
    Credentials {
        access_key: name.to_owned(),
        secret_key: Value::new(format!("{name}-secret")),
        session_token: Value::new(format!("{name}-token")),
        expires_ms: 1_795_558_658_243,
    }
}

fn is_child(folder: &Path) -> bool {
    let stat = std::fs::read_to_string(folder.join("stat")).unwrap_or_default();
    // The name stands in brackets and may hold anything; the state and the parent follow it.
    let rest = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let parent = rest.split(' ').nth(1).and_then(|pid| pid.parse().ok());
    parent == Some(std::process::id())
}

/// A dead process that nobody has waited for yet has none.
fn has_variable(folder: &Path, variable: &str) -> bool {
    let environ = std::fs::read(folder.join("environ")).unwrap_or_default();
    let mut variables = environ.split(|byte| *byte == 0);
    variables.any(|one| one == variable.as_bytes())
}
