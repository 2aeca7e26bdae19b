//! The whole executor with real processes.

use bytes::Bytes;
use tempfile::TempDir;
use tokio::io::BufReader;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::{Hub, TEST_TIMEOUT, clock, hello, request_id, spec, start};
use crate::protocol::{FunctionSpec, RunEnd, StopHow, ToExecutor};
use crate::server::{ServeOptions, serve};

fn script(name: &str, script: &str) -> FunctionSpec {
    FunctionSpec {
        command: ["sh", "-c", script].map(str::to_owned).to_vec(),
        search_path: "/usr/local/bin:/usr/bin:/bin".to_owned(),
        ..spec(name)
    }
}

#[tokio::test]
async fn processes_run_are_stopped_and_end_with_the_executor() {
    let root = TempDir::new().unwrap();
    let dir = root.path().join("executors").join("e1");
    let shutdown = CancellationToken::new();
    let mut served = JoinSet::new();
    served.spawn(serve(ServeOptions {
        dir: dir.clone(),
        id: "e1".to_owned(),
        release: "0.1.0".to_owned(),
        clock: clock(),
        shutdown,
    }));
    let stream = super::connect(&dir).await;
    let mut hub: Hub = hello(BufReader::new(stream), super::key(&dir)).await;
    let functions = vec![
        script("echo", "echo a line >&2; cat"),
        script("sleep", "exec sleep 1000"),
    ];
    hub.send(ToExecutor::Declare { functions }).await;

    hub.send(ToExecutor::Start(start(1, "echo"))).await;
    let (lines, outcome, result) = hub.until_end(1).await;
    assert_eq!(outcome.end, RunEnd::Succeeded, "{outcome:?}");
    assert_eq!(result, Bytes::from_static(b"data"));
    assert!(
        lines
            .iter()
            .any(|l| l.stream == "stderr" && l.text == "a line"),
        "{lines:?}"
    );
    hub.forget(1).await;

    hub.send(ToExecutor::Start(start(2, "sleep"))).await;
    let run = request_id(2).to_string();
    let how = StopHow::Kill("terminated".to_owned());
    hub.send(ToExecutor::Stop { run, how }).await;
    let (_, outcome, _) = hub.until_end(2).await;
    assert_eq!(outcome.end, RunEnd::Terminated, "{outcome:?}");
    hub.forget(2).await;

    hub.send(ToExecutor::Retire).await;
    let over = tokio::time::timeout(TEST_TIMEOUT, served.join_next()).await;
    over.unwrap().unwrap().unwrap().unwrap();
}
