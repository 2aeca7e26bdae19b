//! A server over a real unix socket, with functions that do what a test says.

mod ends;
mod handshake;
mod lines;
mod lives;
mod real;
mod reconnect;
mod script;
mod watch;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tempfile::TempDir;
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tripline_model::{Clock, ManualClock, RequestId, Timestamp};

use self::script::{Actor, Script};
use super::directory::ExecutorDirectory;
use super::{ServeError, ServeOptions, serve_kinds};
use crate::protocol::{
    FromExecutor, FunctionSpec, Hello, Isolation, Kind, Limits, LineHead, Outcome, Start,
    ToExecutor, VERSIONS, Value, Welcome, read_frame, write_frame,
};

const NOW: Timestamp = Timestamp::from_millis(1_795_555_058_243);
/// Longer than anything here takes.
const TEST_TIMEOUT: Duration = Duration::from_secs(120);

/// A server that runs.
struct Bench {
    dir: PathBuf,
    shutdown: CancellationToken,
    served: JoinSet<Result<(), ServeError>>,
    /// Runs that were started, and not asked for yet.
    actors: mpsc::Receiver<Actor>,
    /// Removed at the end.
    _root: TempDir,
}

/// A connection to it.
struct Hub {
    stream: BufReader<UnixStream>,
    welcome: Welcome,
}

/// A line with its number.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Numbered {
    number: u64,
    stream: String,
    text: String,
}

fn request_id(n: u8) -> RequestId {
    RequestId::new(NOW, [n; 10])
}

/// A run of `function`, named by a number.
fn start(n: u8, function: &str) -> Start {
    Start {
        run: request_id(n).to_string(),
        function: function.to_owned(),
        variables: BTreeMap::new(),
        remarks: Vec::new(),
        credentials: None,
        timeout_ms: 60_000,
        grace_ms: 5_000,
        deadline_ms: NOW.plus(Duration::from_secs(60)).as_millis(),
        max_result_bytes: 1 << 20,
        max_log_bytes: 1 << 30,
    }
}

fn spec(name: &str) -> FunctionSpec {
    FunctionSpec {
        name: name.to_owned(),
        kind: Kind::Process,
        command: vec!["true".to_owned()],
        env: BTreeMap::new(),
        working_dir: "/".into(),
        search_path: String::new(),
        user: None,
        limits: Limits::default(),
        isolation: Isolation::default(),
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(ManualClock::at(NOW))
}

// === impl Bench ===

impl Bench {
    fn open() -> Self {
        Self::open_in("executor")
    }

    fn open_in(name: &str) -> Self {
        let root = TempDir::new().unwrap();
        let dir = root.path().join(name);
        let directory = ExecutorDirectory::enter(&dir).unwrap();
        let shutdown = CancellationToken::new();
        let options = ServeOptions {
            dir: dir.clone(),
            id: "executor-1".to_owned(),
            release: "0.1.0".to_owned(),
            clock: clock(),
            shutdown: shutdown.clone(),
        };
        let (script, actors) = Script::new();
        let mut served = JoinSet::new();
        served.spawn(serve_kinds(options, directory, Arc::new(script)));
        Self {
            dir,
            shutdown,
            served,
            actors,
            _root: root,
        }
    }

    /// A connection over which nothing was said.
    async fn connect(&self) -> UnixStream {
        connect(&self.dir).await
    }

    /// A hub that was welcomed.
    async fn hub(&self) -> Hub {
        hello(BufReader::new(self.connect().await), key(&self.dir)).await
    }

    /// A hub that was welcomed and declared the functions of the script.
    async fn declared_hub(&self) -> Hub {
        let mut hub = self.hub().await;
        let functions = ["f", "refuses", "panics"].map(spec).to_vec();
        hub.send(ToExecutor::Declare { functions }).await;
        hub
    }

    /// The run that was started next.
    async fn actor(&mut self) -> Actor {
        let actor = timeout(TEST_TIMEOUT, self.actors.recv()).await;
        actor.unwrap().unwrap()
    }

    /// Waits until the server is over.
    async fn over(&mut self) -> Result<(), ServeError> {
        let served = timeout(Duration::from_secs(3600), self.served.join_next());
        served.await.unwrap().unwrap().unwrap()
    }

    /// How many spill files there are.
    fn spilled(&self) -> usize {
        std::fs::read_dir(self.dir.join("spill")).unwrap().count()
    }
}

// === impl Hub ===

impl Hub {
    async fn send(&mut self, message: ToExecutor) {
        write_frame(&mut self.stream, &message, b"data")
            .await
            .unwrap();
        self.stream.flush().await.unwrap();
    }

    async fn start(&mut self, n: u8, function: &str) {
        self.send(ToExecutor::Start(start(n, function))).await;
    }

    async fn attach(&mut self, n: u8, after: u64) {
        let run = request_id(n).to_string();
        self.send(ToExecutor::Attach { run, after }).await;
    }

    async fn kept(&mut self, n: u8, line: u64) {
        let run = request_id(n).to_string();
        self.send(ToExecutor::Kept { run, line }).await;
    }

    async fn forget(&mut self, n: u8) {
        let run = request_id(n).to_string();
        self.send(ToExecutor::Forget { run }).await;
    }

    async fn receive(&mut self) -> (FromExecutor, Bytes) {
        receive(&mut self.stream).await
    }

    /// Takes a run's lines, keeping each message, until its end.
    async fn until_end(&mut self, n: u8) -> (Vec<Numbered>, Outcome, Bytes) {
        let mut lines = Vec::new();
        loop {
            match self.receive().await {
                (FromExecutor::Ended { outcome, .. }, result) => return (lines, outcome, result),
                (
                    FromExecutor::Lines {
                        first,
                        lines: heads,
                        ..
                    },
                    texts,
                ) => {
                    lines.extend(numbered(first, &heads, &texts));
                    let last = lines.last().unwrap().number;
                    self.kept(n, last).await;
                }
                _ => {}
            }
        }
    }
}

/// Waits for the executor in `dir`.
async fn connect(dir: &Path) -> UnixStream {
    let connect = async {
        loop {
            if let Ok(open) = File::open(dir) {
                let path = format!("/proc/self/fd/{}/socket", open.as_raw_fd());
                if let Ok(stream) = UnixStream::connect(&path).await {
                    return stream;
                }
            }
            tokio::task::yield_now().await;
        }
    };
    timeout(TEST_TIMEOUT, connect).await.unwrap()
}

/// What lets a hub in.
fn key(dir: &Path) -> Value {
    Value::new(std::fs::read_to_string(dir.join("key")).unwrap())
}

/// Says hello and is welcomed.
async fn hello(mut stream: BufReader<UnixStream>, key: Value) -> Hub {
    let hello = ToExecutor::Hello(Hello {
        versions: VERSIONS,
        release: "0.2.0".to_owned(),
        key,
    });
    write_frame(&mut stream, &hello, &[]).await.unwrap();
    stream.flush().await.unwrap();
    match receive(&mut stream).await {
        (FromExecutor::Welcome(welcome), _) => Hub { stream, welcome },
        other => panic!("not welcome: {other:?}"),
    }
}

async fn receive(stream: &mut BufReader<UnixStream>) -> (FromExecutor, Bytes) {
    let received = timeout(TEST_TIMEOUT, read_frame(stream)).await;
    received.expect("the executor says nothing").unwrap()
}

fn numbered(first: u64, heads: &[LineHead], texts: &[u8]) -> Vec<Numbered> {
    let mut rest = texts;
    let lines = heads.iter().zip(first..).map(|(head, number)| {
        let (text, after) = rest.split_at(head.len as usize);
        rest = after;
        Numbered {
            number,
            stream: head.stream.clone(),
            text: String::from_utf8_lossy(text).into_owned(),
        }
    });
    let lines = lines.collect();
    assert!(rest.is_empty(), "texts without heads");
    lines
}
