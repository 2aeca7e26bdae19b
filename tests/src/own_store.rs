//! Object stores of one test's own, that can be killed and started again with the same objects.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command};

use tempfile::TempDir;

use crate::eventually;
use crate::service::{S3, named, skipped};

const ACCESS_KEY: &str = "tripline-test";
const SECRET_KEY: &str = "tripline-test-secret";

/// A store that only this test uses. It ends with its value.
pub struct OwnStore {
    /// How to talk to it.
    pub s3: S3,
    program: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    folder: TempDir,
    child: Option<Child>,
}

/// A port of the loopback address that was free just now.
pub fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    socket.local_addr().expect("a socket has an address").port()
}

// === impl OwnStore ===

impl OwnStore {
    /// A versitygw on `port` that calls `webhook`, which must answer already; `None` was reported as skipped.
    pub async fn versitygw(test: &str, port: u16, webhook: &str) -> Option<Self> {
        let mut store = Self::found(test, "TRIPLINE_TEST_VERSITYGW", port)?;
        let root = store.folder.path().join("root");
        fs::create_dir(&root).expect("the folder is ours");
        store.arguments = [
            "--port",
            &format!("127.0.0.1:{port}"),
            "--event-webhook-url",
            webhook,
            "posix",
        ]
        .map(str::to_owned)
        .into();
        store.arguments.push(root.display().to_string());
        store.environment = pairs([
            ("ROOT_ACCESS_KEY", ACCESS_KEY),
            ("ROOT_SECRET_KEY", SECRET_KEY),
        ]);
        store.start().await;
        Some(store)
    }

    /// A MinIO on `port`, whose target `arn:minio:sqs::HUB:webhook` calls `webhook` and keeps what is not taken in a
    /// queue on disk; `None` was reported as skipped.
    pub async fn minio(test: &str, port: u16, webhook: &str) -> Option<Self> {
        let mut store = Self::found(test, "TRIPLINE_TEST_MINIO", port)?;
        let (data, queue) = (
            store.folder.path().join("data"),
            store.folder.path().join("queue"),
        );
        store.arguments = ["server", "--address", &format!("127.0.0.1:{port}")]
            .map(str::to_owned)
            .into();
        store.arguments.push(data.display().to_string());
        store.environment = pairs([
            ("MINIO_ROOT_USER", ACCESS_KEY),
            ("MINIO_ROOT_PASSWORD", SECRET_KEY),
            ("MINIO_BROWSER", "off"),
            ("MINIO_UPDATE", "off"),
            ("MINIO_CI_CD", "1"),
            ("MINIO_NOTIFY_WEBHOOK_ENABLE_HUB", "on"),
            ("MINIO_NOTIFY_WEBHOOK_ENDPOINT_HUB", webhook),
            (
                "MINIO_NOTIFY_WEBHOOK_QUEUE_DIR_HUB",
                &queue.display().to_string(),
            ),
        ]);
        store.start().await;
        Some(store)
    }

    fn found(test: &str, variable: &str, port: u16) -> Option<Self> {
        let Some(program) = named(variable) else {
            let reason = format!("{variable} is not set (run `cargo xtask test`)");
            skipped(test, &reason);
            return None;
        };
        Some(Self {
            s3: S3::at(
                format!("http://127.0.0.1:{port}"),
                ACCESS_KEY.to_owned(),
                SECRET_KEY.to_owned(),
            ),
            program: program.into(),
            arguments: Vec::new(),
            environment: Vec::new(),
            folder: tempfile::tempdir().expect("there is room for a folder"),
            child: None,
        })
    }

    /// Starts it, again with what it had, and waits until it answers.
    pub async fn start(&mut self) {
        let log = fs::File::options()
            .create(true)
            .append(true)
            .open(self.folder.path().join("log"))
            .expect("the folder is ours");
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the store can be started");
        self.child = Some(child);
        eventually("the store answers", async || {
            self.s3.client.list_buckets().send().await.ok()
        })
        .await;
    }

    /// `kill -9`.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _already_gone = child.kill();
            let _status = child.wait();
        }
    }
}

impl Drop for OwnStore {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let from = log.floor_char_boundary(log.len().saturating_sub(4_000));
            eprintln!("--- the end of the store's log ---\n{}", &log[from..]);
        }
    }
}

fn pairs<const N: usize>(pairs: [(&str, &str); N]) -> Vec<(String, String)> {
    pairs
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}
