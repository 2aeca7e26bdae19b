//! How many instances there are.

use std::sync::Arc;
use std::sync::mpsc::sync_channel;

use tokio::time::{Instant, timeout};

use super::{TEST_TIMEOUT, WorkerFixture, eventually};
use crate::instance::How;

#[tokio::test]
async fn runs_beyond_the_maximum_wait_for_an_instance() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.max_instances = 2)
        .declared();
    let go = fixture.dir.path().join("go");
    let event = format!(
        "until [ -e {} ]; do sleep 0.02; done; answer $$",
        go.display()
    );
    let mut running = Vec::new();
    for _ in 0..5 {
        running.push(fixture.start(&event).await);
    }
    assert_eq!(fixture.instances(), 2);
    std::fs::write(&go, "").unwrap();
    let mut pids = std::collections::BTreeSet::new();
    for running in running {
        pids.insert(running.done().await.result().to_owned());
    }
    assert!(pids.len() <= 2, "{pids:?}");
    assert!(fixture.instances() <= 2);
    fixture.close().await;
}

#[tokio::test]
async fn a_run_that_waits_can_be_stopped_and_never_starts() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.max_instances = 1)
        .declared();
    let mut busy = fixture.start("echo begun; sleep 600").await;
    tokio::select! {
        () = busy.instance.wait() => panic!("it works for minutes"),
        () = busy.output.wait_for("begun") => {}
    }
    for stop in ["request_stop", "kill"] {
        let waiting = fixture.start("echo never; answer 1").await;
        match stop {
            "kill" => waiting.instance.kill(),
            _ => waiting.instance.request_stop(),
        }
        let done = waiting.done().await;
        assert!(
            matches!(done.exit.how, How::NotReady { .. }),
            "{stop}: {:?}",
            done.exit.how
        );
        assert_eq!(done.output.texts(), Vec::<String>::new());
    }
    busy.instance.kill();
    busy.done().await;
    fixture.close().await;
}

#[tokio::test]
async fn a_wait_that_is_broken_off_again_and_again_starts_one_instance() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.max_instances = 1)
        .declared();
    let busy = fixture.start("sleep 600").await;
    let mut waiting = fixture.start("answer $$").await;
    busy.instance.kill();
    busy.done().await;
    // As the deadline, a stop or new credentials do, at every moment of the start.
    let broken_off = async {
        loop {
            tokio::select! {
                biased;
                () = waiting.instance.wait() => break,
                () = tokio::task::yield_now() => {}
            }
            assert!(fixture.instances() <= 1);
        }
    };
    timeout(TEST_TIMEOUT, broken_off)
        .await
        .expect("it comes to its end");
    assert!(matches!(waiting.reclaim().await.exit.how, How::Answered));
    fixture.close().await;
}

#[tokio::test]
async fn a_run_whose_wait_is_broken_off_keeps_its_place_in_line() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.max_instances = 1)
        .declared();
    let busy = fixture.start("sleep 600").await;
    let mut first = fixture.start("echo first >> order; answer 1").await;
    let second = fixture.start("echo second >> order; answer 2").await;
    // Broken off as new credentials do.
    tokio::select! {
        biased;
        () = first.instance.wait() => panic!("there is no instance for it"),
        () = std::future::ready(()) => {}
    }
    busy.instance.kill();
    busy.done().await;
    let (second, first) = tokio::join!(second.done(), first.done());
    assert_eq!((first.result(), second.result()), ("1", "2"));
    let order = std::fs::read_to_string(fixture.dir.path().join("order")).unwrap();
    assert_eq!(order, "first\nsecond\n");
    fixture.close().await;
}

#[tokio::test]
async fn a_run_that_waited_is_told_the_time_that_is_left() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.max_instances = 1)
        .declared();
    let busy = fixture.start("sleep 0.1; answer 1").await;
    let waiting = fixture.start("answer $time_limit").await;
    let since = Instant::now();
    busy.done().await.result();
    let waited = since.elapsed().as_millis();
    let done = waiting.done().await;
    let left: u128 = done.result().parse().unwrap();
    assert!(waited > 0 && left + waited <= 30_000, "{waited}, {left}");
    fixture.close().await;
}

#[tokio::test]
async fn a_run_that_is_killed_while_its_instance_starts_leaves_none() {
    let fixture = WorkerFixture::new()
        .with_worker(|worker| worker.max_instances = 1)
        .declared();
    for polls in 0..20 {
        let busy = fixture.start("sleep 600").await;
        let mut waiting = fixture.start("echo never; answer 1").await;
        busy.instance.kill();
        busy.done().await;
        for _ in 0..polls {
            tokio::select! {
                biased;
                () = waiting.instance.wait() => break,
                () = tokio::task::yield_now() => {}
            }
        }
        waiting.instance.kill();
        waiting.done().await;
        fixture.has_instances(0).await;
    }
    fixture.close().await;
}

/// The only thread for what blocks is taken, so no first start gets on until it is free.
#[test]
fn the_end_of_a_run_does_not_wait_for_a_start_that_hangs() {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(1).build();
    runtime.unwrap().block_on(async {
        let fixture = WorkerFixture::new()
            .with_worker(|worker| worker.max_instances = 1)
            .declared();
        let pool = fixture.workers.pools()[&fixture.spec.name].clone();
        let slot = pool.slots.clone().try_acquire_owned().unwrap();
        let mut waiting = fixture.start("echo never; answer 1").await;
        let (free, waits) = sync_channel::<()>(0);
        let taken = tokio::task::spawn_blocking(move || waits.recv().is_err());
        drop(slot);
        tokio::select! {
            () = waiting.instance.wait() => panic!("its instance cannot start"),
            () = eventually("a start", || pool.alive() == 1) => {}
        }
        waiting.instance.kill();
        waiting.wait().await;
        tokio::time::pause();
        let (done, ()) = tokio::join!(waiting.reclaim(), tokio::time::advance(TEST_TIMEOUT * 2));
        tokio::time::resume();
        assert!(matches!(done.exit.how, How::NotReady { .. }));
        let mut late = done.exit.remains.expect("the start remains");
        assert_eq!(pool.slots.available_permits(), 0);
        drop(free);
        let gone = timeout(TEST_TIMEOUT, late.gone()).await;
        gone.expect("it is ended when it is there");
        assert_eq!(
            (fixture.instances(), pool.slots.available_permits()),
            (0, 1)
        );
        assert_eq!(done.output.texts(), Vec::<String>::new());
        assert!(taken.await.unwrap());
        fixture.close().await;
    });
}

#[tokio::test]
async fn a_changed_function_gets_new_instances_and_a_removed_one_none() {
    let mut fixture = WorkerFixture::new().with_env("VERSION", "1").declared();
    assert_eq!(fixture.run("answer $VERSION").await.result(), "1");
    fixture.declare();
    assert_eq!(
        fixture.instances(),
        1,
        "the same declaration changes nothing"
    );
    let old_one = fixture.start("echo begun; answer $VERSION$count").await;

    fixture = fixture.with_env("VERSION", "2");
    fixture.declare();
    assert_eq!(fixture.run("answer $VERSION").await.result(), "2");
    assert_eq!(
        old_one.done().await.result(),
        "12",
        "it goes on as it began"
    );
    fixture.has_instances(1).await;
    assert_eq!(fixture.run("answer $VERSION$count").await.result(), "22");

    fixture.workers.declare(&[]);
    fixture.has_instances(0).await;
    // The server may have looked the function up a moment before.
    assert_eq!(fixture.run("answer $count").await.result(), "1");
    fixture.has_instances(0).await;
    fixture.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_runs_share_few_instances() {
    let fixture = Arc::new(WorkerFixture::new().declared());
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..100 {
        let fixture = fixture.clone();
        tasks.spawn(async move {
            let done = fixture.run(&format!("answer {number}")).await;
            assert_eq!(done.result(), number.to_string());
        });
    }
    while let Some(task) = tasks.join_next().await {
        task.unwrap();
    }
    assert!(fixture.instances() <= 4, "{}", fixture.instances());
    Arc::into_inner(fixture).unwrap().close().await;
}
