//! Which run gets what an instance writes.

use super::{WorkerFixture, eventually};

#[tokio::test]
async fn each_run_gets_its_own_lines_before_its_end() {
    let fixture = WorkerFixture::new()
        .with_env("BEFORE_INIT", "echo loading")
        .declared();
    let first = fixture
        .run("for i in 1 2 3; do echo one $i; done; printf rest; answer 1")
        .await;
    first.result();
    assert_eq!(
        first.output.texts(),
        ["loading", "one 1", "one 2", "one 3", "rest"]
    );
    let second = fixture.run("echo two; echo three >&2; answer 1").await;
    second.result();
    let mut texts = second.output.texts();
    texts.sort();
    assert_eq!(texts, ["three", "two"]);
    fixture.close().await;
}

#[tokio::test]
async fn what_is_written_between_two_runs_goes_to_the_next() {
    let fixture = WorkerFixture::new().declared();
    let mark = fixture.dir.path().join("mark");
    let event = format!(
        "answer 1; sleep 0.3; echo between; sleep 0.1; touch {}",
        mark.display()
    );
    let first = fixture.run(&event).await;
    eventually("the instance to be idle again", || mark.exists()).await;
    assert_eq!(first.output.texts(), Vec::<String>::new());
    let second = fixture.run("echo later; answer 1").await;
    assert_eq!(second.output.texts(), ["between", "later"]);
    fixture.close().await;
}

#[tokio::test]
async fn a_run_that_fails_has_its_last_lines() {
    let fixture = WorkerFixture::new().declared();
    for event in [
        "echo last; exit 3",
        "echo last; report bad",
        "printf last; kill -9 $$",
    ] {
        let done = fixture.run(event).await;
        assert_eq!(done.output.texts(), ["last"], "{event}");
    }
    fixture.close().await;
}
