//! How runs end, and what becomes of their instance.

use nix::sys::signal::Signal;

use super::WorkerFixture;
use crate::instance::{How, StartError};

#[tokio::test]
async fn an_instance_serves_one_run_after_the_other() {
    let fixture = WorkerFixture::new().declared();
    let first = fixture.run(r#"answer "$count $$ $time_limit""#).await;
    let second = fixture.run(r#"answer "$count $$ $request_id""#).await;
    let (first, second) = (first.result().to_owned(), second.result().to_owned());
    let [count, pid, limit] = first.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{first}");
    };
    let limit: u64 = limit.parse().unwrap();
    assert!(count == "1" && limit <= 30_000, "{first}");
    assert!(
        second.starts_with(&format!("2 {pid} ")),
        "{first}, {second}"
    );
    assert_eq!(fixture.instances(), 1);
    fixture.close().await;
}

#[tokio::test]
async fn after_any_other_end_the_instance_is_replaced() {
    let fixture = WorkerFixture::new().declared();
    let reported = How::Reported {
        kind: "Unhandled".to_owned(),
        message: "no such order".to_owned(),
    };
    let crashed = |code, signal| How::Crashed { code, signal };
    for (event, how) in [
        (r#"report "no such order""#, reported),
        ("exit 7", crashed(Some(7), None)),
        ("exit 0", crashed(Some(0), None)),
        ("kill -9 $$", crashed(None, Some(Signal::SIGKILL as i32))),
    ] {
        fixture.run("answer well").await.result();
        let done = fixture.run(event).await;
        assert_eq!(done.exit.how, how, "{event}");
        assert!(done.exit.remains.is_none());
        assert_eq!(
            fixture.instances(),
            0,
            "nothing of it is left after {event}"
        );
        let next = fixture.run("answer $count").await;
        assert_eq!(next.result(), "1", "a new one after {event}");
    }
    fixture.close().await;
}

#[tokio::test]
async fn the_text_of_an_error_is_the_result_up_to_its_bound() {
    let mut fixture = WorkerFixture::new();
    fixture.max_result_bytes = 4;
    fixture.declare();
    let done = fixture.run(r#"report "no such order""#).await;
    assert_eq!(
        (&done.exit.result[..], done.exit.result_cut),
        (&b"no s"[..], true)
    );
    let done = fixture.run("answer 12345").await;
    assert_eq!(done.exit.how, How::ResultTooLarge);
    assert_eq!(fixture.run("answer 1234").await.result(), "1234");
    fixture.close().await;
}

#[tokio::test]
async fn an_answer_counts_even_if_the_process_ends_with_it() {
    let fixture = WorkerFixture::new().declared();
    for _ in 0..5 {
        // The next run may get the instance before anybody knows that it ends: then another one.
        assert_eq!(fixture.run("answer $count; exit 1").await.result(), "1");
    }
    fixture.close().await;
}

#[tokio::test]
async fn a_killed_run_ends_at_once_with_all_that_it_started() {
    let fixture = WorkerFixture::new().declared();
    let mut running = fixture
        .start("echo begun; trap '' TERM; sleep 600 & sleep 601")
        .await;
    tokio::select! {
        () = running.instance.wait() => panic!("it works for minutes"),
        () = running.output.wait_for("begun") => {}
    }
    running.instance.request_stop();
    running.instance.kill();
    running.wait().await;
    let done = running.reclaim().await;
    assert!(
        matches!(done.exit.how, How::Crashed { .. }),
        "{:?}",
        done.exit.how
    );
    assert_eq!(fixture.instances(), 0);
    fixture.close().await;
}

#[tokio::test]
async fn who_ends_well_after_a_polite_request_has_succeeded_but_is_not_used_again() {
    let fixture = WorkerFixture::new().declared();
    let event = "trap 'answer polite' TERM; echo begun; while true; do sleep 0.02; done";
    let mut running = fixture.start(event).await;
    tokio::select! {
        () = running.instance.wait() => panic!("it waits for a signal"),
        () = running.output.wait_for("begun") => {}
    }
    running.instance.request_stop();
    assert_eq!(running.done().await.result(), "polite");
    assert_eq!(fixture.run("answer $count").await.result(), "1");
    fixture.close().await;
}

#[tokio::test]
async fn dropping_a_run_ends_it() {
    let fixture = WorkerFixture::new().declared();
    let mut running = fixture.start("echo begun; sleep 600").await;
    tokio::select! {
        () = running.instance.wait() => panic!("it works for minutes"),
        () = running.output.wait_for("begun") => {}
    }
    drop(running);
    fixture.has_instances(0).await;
    fixture.close().await;
}

#[tokio::test]
async fn a_program_that_is_not_there_cannot_be_started() {
    let fixture = WorkerFixture::running(&["./no-such-program"]).declared();
    let error = fixture.try_start("answer 1").await.err();
    assert!(matches!(error, Some(StartError::NoProgram(_))), "{error:?}");
    assert_eq!(fixture.instances(), 0);
    fixture.close().await;
}

#[tokio::test]
async fn what_an_instance_needs_is_in_its_environment() {
    let fixture = WorkerFixture::new()
        .with_env("AWS_REGION", "eu-central-1")
        .with_env("AWS_LAMBDA_FUNCTION_NAME", "mine")
        .with_worker(|worker| worker.handler = Some("app.handler".to_owned()))
        .declared();
    let event = r#"answer "$AWS_LAMBDA_FUNCTION_NAME $AWS_LAMBDA_FUNCTION_VERSION $_HANDLER $AWS_REGION $AWS_DEFAULT_REGION
$AWS_LAMBDA_LOG_GROUP_NAME $LAMBDA_TASK_ROOT $TENCENTCLOUD_RUNENV $SCF_FUNCTIONNAME $TRIPLINE_FUNCTION
$((AWS_LAMBDA_FUNCTION_MEMORY_SIZE > 0)) ${AWS_LAMBDA_RUNTIME_API#$SCF_RUNTIME_API:} ${AWS_CONTAINER_CREDENTIALS_FULL_URI:-none}""#;
    let done = fixture.run(event).await;
    let lines: Vec<&str> = done.result().lines().collect();
    assert_eq!(lines[0], "resize $LATEST app.handler eu-central-1 local");
    let root = fixture.dir.path().display();
    assert_eq!(
        lines[1],
        format!("/aws/lambda/resize {root} SCF resize resize")
    );
    let port = lines[2].split(' ').nth(1).unwrap();
    assert!(port.parse::<u16>().is_ok(), "{}", lines[2]);
    assert!(
        lines[2].starts_with("1 ") && lines[2].ends_with(" none"),
        "{}",
        lines[2]
    );
    fixture.close().await;
}
