//! Which run gets what an instance writes.

use super::{House, eventually};

#[tokio::test]
async fn each_run_gets_its_own_lines_before_its_end() {
    let house = House::new()
        .with_env("BEFORE_INIT", "echo loading")
        .declared();
    let first = house
        .run("for i in 1 2 3; do echo one $i; done; printf rest; answer 1")
        .await;
    first.result();
    assert_eq!(
        first.output.texts(),
        ["loading", "one 1", "one 2", "one 3", "rest"]
    );
    let second = house.run("echo two; echo three >&2; answer 1").await;
    second.result();
    let mut texts = second.output.texts();
    texts.sort();
    assert_eq!(texts, ["three", "two"]);
    house.close().await;
}

#[tokio::test]
async fn what_is_written_between_two_runs_goes_to_the_next() {
    let house = House::new().declared();
    let mark = house.dir.path().join("mark");
    let event = format!(
        "answer 1; sleep 0.3; echo between; sleep 0.1; touch {}",
        mark.display()
    );
    let first = house.run(&event).await;
    eventually("the instance to be idle again", || mark.exists()).await;
    assert_eq!(first.output.texts(), Vec::<String>::new());
    let second = house.run("echo later; answer 1").await;
    assert_eq!(second.output.texts(), ["between", "later"]);
    house.close().await;
}

#[tokio::test]
async fn a_run_that_fails_has_its_last_lines() {
    let house = House::new().declared();
    for event in [
        "echo last; exit 3",
        "echo last; report bad",
        "printf last; kill -9 $$",
    ] {
        let done = house.run(event).await;
        assert_eq!(done.output.texts(), ["last"], "{event}");
    }
    house.close().await;
}
