//! Hub and executor of different releases.
//!
//! A hub that finds an executor of another version at its start explains it, names both versions, and touches
//! nothing. An executor answers a hub of another version in the same way, and its own hub goes on.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;
use tripline_tests::Hub;

const CONFIG: &str = "[functions.greet]\ncommand = [\"sh\", \"-c\", \"echo hello\"]\n";

/// One message: the lengths of its JSON and of the blob behind it, which is empty, and the JSON.
async fn send(stream: &mut UnixStream, message: &Value) {
    let text = message.to_string();
    let mut frame = u32::try_from(text.len()).unwrap().to_be_bytes().to_vec();
    frame.extend([0; 4]);
    frame.extend(text.bytes());
    stream.write_all(&frame).await.unwrap();
}

async fn received(stream: &mut UnixStream) -> Value {
    let message = stream.read_u32().await.unwrap();
    let blob = stream.read_u32().await.unwrap();
    let mut bytes = vec![0; (message + blob) as usize];
    stream.read_exact(&mut bytes).await.unwrap();
    serde_json::from_slice(&bytes[..message as usize]).expect("it is JSON")
}

/// An executor that the hub finds, and that answers every greeting alike. It lives as long as this value.
struct Other {
    dir: PathBuf,
    _lock: fs::File,
    _server: JoinSet<()>,
}

// === impl Other ===

impl Other {
    fn of(hub: &Hub, id: &str, answer: Value) -> Self {
        let dir = hub.path("data/executors").join(id);
        let mut builder = fs::DirBuilder::new();
        builder.recursive(true).mode(0o700).create(&dir).unwrap();
        let lock = fs::File::create(dir.join("lock")).unwrap();
        lock.lock().unwrap();
        fs::write(dir.join("key"), "its key").unwrap();
        let listener = UnixListener::bind(dir.join("socket")).unwrap();
        let mut server = JoinSet::new();
        server.spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let hello = &received(&mut stream).await["hello"];
                assert_eq!(hello["key"], "its key", "{hello}");
                send(&mut stream, &answer).await;
            }
        });
        Self {
            dir,
            _lock: lock,
            _server: server,
        }
    }
}

/// A start that is refused says all of these, and leaves the other executor alone.
fn explains(hub: &Hub, other: &Other, parts: &[&str]) {
    let output = hub.refuses();
    assert_eq!(output.code, 1, "{output:?}");
    for part in parts {
        assert!(output.stderr.contains(part), "{part}: {output:?}");
    }
    assert!(other.dir.join("socket").exists(), "it lives");
    assert!(hub.executors().is_empty(), "nothing is left of this start");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hub_explains_what_an_executor_of_another_version_says() {
    let id = "01a2107b-ca77-70ce-ba8f-4e12c1730855";
    let mut hub = Hub::prepare(CONFIG);
    let why = "there is no version that both speak";
    let refused = json!({ "refused": {
        "versions": { "from": 7001, "to": 7002 }, "release": "of-tomorrow", "why": why,
    }});
    let other = Other::of(&hub, id, refused);
    let pid = std::process::id();
    explains(
        &hub,
        &other,
        &[
            &format!("the executor {id} (process {pid}, release of-tomorrow)"),
            "speaks versions 7001 to 7002 of the executor protocol",
            "this hub (release ",
            why,
            "start a hub of a release that speaks both",
            &format!("kill process {pid}: its invocations become lost"),
        ],
    );
    drop(other);

    // One that believes that the hub speaks what it does not.
    fs::remove_dir_all(hub.path("data/executors")).unwrap();
    let welcome = json!({ "welcome": {
        "version": 7001, "executor": id, "pid": pid, "release": "of-tomorrow", "level": "all",
        "retired": false, "runs": [],
    }});
    let other = Other::of(&hub, id, welcome);
    let wants = "broke the protocol: it wants to speak version 7001";
    explains(&hub, &other, &[&format!("the executor {id}"), wants]);
    drop(other);

    // It is dead now: what it left is cleared away, and the hub has its own.
    hub.launch().await;
    runs(&hub).await;
    assert!(!hub.path("data/executors").join(id).exists());
}

async fn runs(hub: &Hub) {
    let ended = hub.ended(&hub.invoke("greet", "").await).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_explains_what_a_hub_of_another_version_hears() {
    let hub = Hub::start(CONFIG).await;
    let executors = hub.executors();
    let greet = async |dir: &Path| {
        let mut stream = UnixStream::connect(dir.join("socket")).await.unwrap();
        let hello = json!({ "hello": {
            "versions": { "from": 7001, "to": 7002 }, "release": "of-tomorrow",
            "key": fs::read_to_string(dir.join("key")).unwrap(),
        }});
        send(&mut stream, &hello).await;
        let answer = received(&mut stream).await;
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0, "nothing follows");
        answer["refused"].clone()
    };
    let refused = greet(&executors[0].dir).await;
    let why = refused["why"].as_str().expect("it says why");
    for part in [
        "the hub (release of-tomorrow) speaks versions 7001 to 7002",
        &format!(
            "the executor (release {}) speaks",
            refused["release"].as_str().unwrap()
        ),
        "there is no version that both speak",
    ] {
        assert!(why.contains(part), "{part}: {refused}");
    }
    assert!(refused["versions"]["to"].as_u64() < Some(7001), "{refused}");
    let log = fs::read_to_string(executors[0].dir.join("log")).unwrap();
    assert!(
        log.contains("a hub was refused") && log.contains("of-tomorrow"),
        "{log}"
    );

    // Its own hub never noticed.
    runs(&hub).await;
    assert_eq!(hub.executors(), executors);
}
