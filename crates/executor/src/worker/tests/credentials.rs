//! The credentials of a function's role.

use super::{WorkerFixture, credentials};

/// Shows the credentials at the endpoint and in the file, and in the variables of AWS and Tencent.
const SHOW: &str = r#"in_file() { sed 's/.*"AccessKeyId":"\([^"]*\)".*/\1/' "$TRIPLINE_CREDENTIALS_FILE"; }
exec 4<>"/dev/tcp/${AWS_LAMBDA_RUNTIME_API/://}"
printf 'GET /tripline/credentials HTTP/1.1\r\nHost: %s\r\nAuthorization: %s\r\nConnection: close\r\n\r\n' \
  "$AWS_LAMBDA_RUNTIME_API" "$AWS_CONTAINER_AUTHORIZATION_TOKEN" >&4
shown=$(cat <&4 | grep --only-matching '"AccessKeyId":"[^"]*"')
answer "$shown $(in_file) ${AWS_ACCESS_KEY_ID:-none} ${TENCENTCLOUD_SECRETID:-none} ${AWS_CONTAINER_CREDENTIALS_FULL_URI##*/}""#;

#[tokio::test]
async fn each_run_finds_its_own_credentials_at_the_endpoint() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.role = true)
        .declared();
    let first = fixture
        .start_with_credentials(SHOW, credentials("first"))
        .await;
    assert_eq!(
        first.done().await.result(),
        r#""AccessKeyId":"first" first none first credentials"#
    );
    let second = fixture
        .start_with_credentials(SHOW, credentials("second"))
        .await;
    assert_eq!(
        second.done().await.result(),
        r#""AccessKeyId":"second" second none first credentials"#
    );
    fixture.close().await;
}

#[tokio::test]
async fn an_instance_that_was_started_without_credentials_finds_those_of_its_run() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.role = true)
        .declared();
    // As one that is kept warm before there was a run.
    fixture.run("answer 1").await.result();
    let run = fixture
        .start_with_credentials(SHOW, credentials("first"))
        .await;
    assert_eq!(
        run.done().await.result(),
        r#""AccessKeyId":"first" first none none credentials"#
    );
    fixture.close().await;
}

#[tokio::test]
async fn an_instance_that_is_started_for_a_run_finds_its_credentials_at_once() {
    let fixture = WorkerFixture::new()
        .with_env(
            "BEFORE_INIT",
            r#"early=$(cat "$TRIPLINE_CREDENTIALS_FILE")"#,
        )
        .declared();
    let run = fixture.start_with_credentials(r#"answer "$early""#, credentials("first"));
    let done = run.await.done().await;
    let result = done.result();
    assert!(
        result.contains(r#""SecretAccessKey":"first-secret""#),
        "{result}"
    );
    fixture.close().await;
}

#[tokio::test]
async fn a_running_function_finds_renewed_credentials() {
    let fixture = WorkerFixture::new().declared();
    let go = fixture.dir.path().join("go");
    let event = format!(
        "echo begun; until [ -e {} ]; do sleep 0.02; done\n{SHOW}",
        go.display()
    );
    let mut running = fixture
        .start_with_credentials(&event, credentials("old"))
        .await;
    tokio::select! {
        () = running.instance.wait() => panic!("it waits for a file"),
        () = running.output.wait_for("begun") => {}
    }
    running.instance.renew(&credentials("new")).unwrap();
    std::fs::write(&go, "").unwrap();
    let done = running.done().await;
    assert!(
        done.result().starts_with(r#""AccessKeyId":"new" new "#),
        "{}",
        done.result()
    );
    fixture.close().await;
}

#[tokio::test]
async fn an_instance_that_was_waited_for_starts_with_renewed_credentials() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.max_instances = 1)
        .declared();
    let busy = fixture.start("sleep 600").await;
    let mut waiting = fixture
        .start_with_credentials(SHOW, credentials("old"))
        .await;
    tokio::select! {
        biased;
        () = waiting.instance.wait() => panic!("there is no instance for it"),
        () = std::future::ready(()) => {}
    }
    waiting.instance.renew(&credentials("new")).unwrap();
    busy.instance.kill();
    busy.done().await;
    assert_eq!(
        waiting.done().await.result(),
        r#""AccessKeyId":"new" new none new credentials"#
    );
    fixture.close().await;
}
