//! Signals: an end under load, a storm of those that mean nothing, an end before the beginning, a halt and its end.

use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tripline_tests::{Raw, eventually, full, time_goes_by};

use super::{CONFIG, address, call, good_calls, hub, hub_with, no_panic, nothing_ran_twice};

/// What a caller answers until it could not go on.
#[derive(Default)]
struct Answers {
    receipts: Vec<String>,
    refused: usize,
    /// Calls without an answer: they may have been accepted.
    unknown: usize,
}

/// Calls one time after the other until the hub refuses or closes.
async fn call_on(address: String) -> Answers {
    let mut answers = Answers::default();
    let mut raw = Raw::open(&address).await;
    loop {
        let sent = raw.send(call("/note")).await;
        let Some(answer) = raw.answer().await else {
            answers.unknown += usize::from(sent);
            return answers;
        };
        match (answer.status, answer.accepted().as_str()) {
            (202, "yes") => answers.receipts.push(super::receipt(&answer)),
            // Over the limit of the hub, which goes on.
            (429, "no") => {}
            (503, "no") => {
                answers.refused += 1;
                return answers;
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sigterm_under_load_keeps_every_receipt() {
    // Longer than this test waits for its end: it ends when its work is done, not when the time for that is over.
    let mut hub = hub_with("", &format!("[hub]\nqps = 100\ndrain = \"10m\"\n{CONFIG}")).await;
    let mut callers = JoinSet::new();
    for _ in 0..16 {
        callers.spawn(call_on(address(&hub)));
    }
    eventually("some have run", async || {
        (hub.lines("ledger").len() > 20).then_some(())
    })
    .await;
    hub.signal(Signal::SIGTERM);
    let answers = callers.join_all().await;
    assert_eq!(hub.exited().await.code(), Some(0));
    no_panic(&hub);
    hub.launch().await;
    let receipts: Vec<_> = answers.iter().flat_map(|one| &one.receipts).collect();
    let unknown: usize = answers.iter().map(|one| one.unknown).sum();
    assert_eq!(
        answers.iter().map(|one| one.refused).sum::<usize>() + unknown,
        16
    );
    let records = hub.invocations("").await.len();
    assert!(receipts.len() <= records && records <= receipts.len() + unknown);
    for id in receipts {
        assert_eq!(hub.ended(id).await["state"], "succeeded", "{id}");
    }
    nothing_ran_twice(&hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_storm_of_sighup_changes_nothing() {
    let hub = hub().await;
    let pid = hub.pid();
    let mut storm = tokio::time::interval(Duration::from_millis(1));
    let storming = async {
        for _ in 0..500 {
            storm.tick().await;
            hub.signal(Signal::SIGHUP);
        }
    };
    let (ids, ()) = tokio::join!(good_calls(&hub, 10), storming);
    assert_eq!(
        (hub.invocations("").await.len(), hub.pid()),
        (ids.len(), pid)
    );
    good_calls(&hub, 1).await;
    no_panic(&hub);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_before_the_beginning_leaves_nothing_behind() {
    let mut hub = hub().await;
    let ids = good_calls(&hub, 2).await;
    hub.signal(Signal::SIGINT);
    hub.exited().await;
    // At moments all over the start.
    for step in 0..8_u64 {
        let mut starting = hub
            .command(&["serve", "tripline.toml"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let moment = Duration::from_millis(step * step * 6);
        time_goes_by(moment, "it is to end at another moment of its start").await;
        // Not SIGINT: what a shell starts in the background ignores that until it says otherwise, and hands this on.
        kill(Pid::from_raw(starting.id().cast_signed()), Signal::SIGTERM).unwrap();
        let ended = eventually("it has ended", async || starting.try_wait().unwrap()).await;
        // Before it listens to signals, one ends it as it ends every program.
        assert!(matches!(ended.code(), Some(0) | None), "{ended:?}");
    }
    hub.launch().await;
    for id in &ids {
        assert_eq!(
            hub.get(&format!("/v1/invocations/{id}")).await["state"],
            "succeeded"
        );
    }
    good_calls(&hub, 1).await;
    nothing_ran_twice(&hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_halt_there_is_no_burst_and_nothing_runs_twice() {
    const LIMIT: usize = 50;
    let clock =
        "[triggers.clock]\nkind = \"cron\"\nfunction = \"note\"\nschedule = \"* * * * * *\"\n";
    // Patience for callers: who was halted for long finds all of them late.
    let bounds = "header_timeout = \"2m\"\nidle_timeout = \"2m\"";
    let hub = hub_with(bounds, &format!("[hub]\nqps = {LIMIT}\n{CONFIG}{clock}")).await;
    good_calls(&hub, 2).await;
    let mut callers = Vec::new();
    for _ in 0..20 {
        callers.push(Raw::open(&address(&hub)).await);
    }
    hub.halt().await;
    let halted = Instant::now();
    for raw in &mut callers {
        raw.send(call("/note").repeat(20)).await;
    }
    time_goes_by(Duration::from_secs(full(4, 60)), "ticks are to be missed").await;
    hub.signal(Signal::SIGCONT);
    let woken = Instant::now();
    let (mut accepted, mut refused) = (0, 0);
    for raw in &mut callers {
        for _ in 0..20 {
            let answer = raw.answer().await.expect("every call is answered");
            match (answer.status, answer.accepted().as_str()) {
                (202, "yes") => accepted += 1,
                (429, "no") => refused += 1,
                other => panic!("{other:?}"),
            }
        }
    }
    let seconds = woken.elapsed().as_secs_f64();
    assert_eq!(accepted + refused, 400);
    let most = (LIMIT as f64 * (seconds + 1.0)) as usize;
    assert!((1..=most).contains(&accepted), "{accepted} in {seconds} s");
    // Ticks that were missed come as one, not as a burst.
    let ticks = hub.invocations("trigger=clock").await.len();
    let all = halted.elapsed().as_secs() as usize;
    assert!(ticks <= all + 4, "{ticks} ticks");
    let calls = hub.ended_of("note", accepted + 2).await;
    assert_eq!(calls.len(), accepted + 2, "a refused call leaves no record");
    nothing_ran_twice(&hub).await;
    no_panic(&hub);
}
