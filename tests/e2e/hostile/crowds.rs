//! Many at once: twins, a flood, large bodies, those that leave early, those that follow a log and do not read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::Barrier;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tripline_tests::{Hub, Raw, Vitals, full, skipped};

use super::{EVIL, NOTE, STUCK, Scene, config, is_refused};

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_twins_with_one_key_are_one_event() {
    let mut scene = Scene::start_with("", &config(NOTE)).await;
    for door in &scene.doors {
        let call = door.head("Idempotency-Key: twins\r\nContent-Length: 4\r\n") + "good";
        let (call, start) = (Arc::new(call), Arc::new(Barrier::new(100)));
        let mut twins = JoinSet::new();
        for _ in 0..100 {
            let (call, start) = (Arc::clone(&call), Arc::clone(&start));
            let mut raw = Raw::open(&door.address).await;
            twins.spawn(async move {
                start.wait().await;
                raw.send(call.as_str()).await;
                raw.answer().await.expect("each twin is answered")
            });
        }
        let answers = twins.join_all().await;
        let ids: BTreeSet<_> = answers
            .iter()
            .map(|one| (one.status, one.json()["request_id"].to_string()))
            .collect();
        assert_eq!(ids.len(), 1, "{ids:?} at the {}", door.name);
        assert_eq!(ids.first().map(|one| one.0), Some(202));
        scene.accepted += 1;
    }
    scene.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_none_or_another_events_are_refused() {
    let mut scene = Scene::start().await;
    let long = "k".repeat(10_000);
    for door in &scene.doors {
        let call = |key: &str, body: &str| {
            let length = format!("Content-Length: {}\r\n", body.len());
            door.head(&format!(
                "Idempotency-Key: {key}\r\n{length}Connection: close\r\n"
            )) + body
        };
        let (first, _) = door.send(call("mine", "good")).await;
        assert_eq!(first.map(|one| one.status), Some(202));
        scene.accepted += 1;
        for (key, statuses) in [
            ("mine", [422, 422]),
            (long.as_str(), [400, 400]),
            ("", [400, 400]),
            ("a\tb", [400, 400]),
            ("a\x7fb", [400, 400]),
            ("\u{e4}", [400, 400]),
        ] {
            let (answer, _) = door.send(call(key, EVIL)).await;
            let context = format!("{:.20} at the {}: {answer:?}", key, door.name);
            assert!(is_refused(answer.as_ref(), &statuses), "{context}");
        }
    }
    scene.ends_unharmed().await;
}

/// How a client leaves: after so many bytes of its call.
async fn leave_early(address: &str, call: &[u8], sent: usize) {
    let mut raw = Raw::open(address).await;
    raw.send(&call[..sent]).await;
    raw.abandon();
}

/// So many clients that leave early, at both doors; how many of them had sent a whole call.
async fn crowd_that_leaves(scene: &Scene, count: usize) -> usize {
    const AT_ONCE: usize = 50;
    let calls: Vec<_> = scene
        .doors
        .iter()
        .map(|door| (door.address.clone(), door.call("good").into_bytes()))
        .collect();
    let (calls, next) = (Arc::new(calls), Arc::new(AtomicUsize::new(0)));
    let mut clients = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (calls, next) = (Arc::clone(&calls), Arc::clone(&next));
        clients.spawn(async move {
            let mut whole = 0;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return whole;
                }
                let (address, call) = &calls[number % 2];
                let sent = match number / 2 % 4 {
                    0 => 0,
                    1 => number % call.len(),
                    2 => call.len() - 2,
                    _ => call.len(),
                };
                whole += usize::from(sent == call.len());
                leave_early(address, call, sent).await;
            }
        });
    }
    clients.join_all().await.into_iter().sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_clients_that_leave_early_leave_nothing() {
    const CLIENTS: usize = 10_000;
    let scene = Scene::start_with("", &config(STUCK)).await;
    let pid = scene.hub.pid();
    let mut whole = crowd_that_leaves(&scene, CLIENTS).await;
    scene.before.come_back(pid).await;
    // What is kept is kept by now: as many again may bring next to nothing.
    let first = Vitals::of(pid);
    whole += crowd_that_leaves(&scene, CLIENTS).await;
    first.stay(pid).await;
    println!("{:?}, {first:?}, {:?}", scene.before, Vitals::of(pid));
    // Whoever sent all of it may have been accepted; nobody else was.
    let records = scene.hub.invocations("").await.len();
    let accepted = records - scene.accepted;
    assert!(
        accepted <= whole,
        "{accepted} of {whole} whole calls were accepted"
    );
    assert!(accepted > 0, "no call was accepted");
    scene.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_share_the_memory_there_is() {
    let (count, size) = full((60, 5 << 20), (1000, 6_000_000));
    let config = config(STUCK)
        .replace("max_event = \"64KiB\"", "max_event = \"6MiB\"")
        .replace(
            "max_body = \"64KiB\"\nbody_timeout = \"1s\"",
            "max_body = \"6MiB\"",
        );
    let bounds = "max_body_memory = \"16MiB\"\nmax_connections = 1100";
    let scene = Scene::start_with(bounds, &config).await;
    let pid = scene.hub.pid();
    // All but the last byte: nobody is done before the others come.
    let nearly_all: Arc<[u8]> = vec![b'x'; size - 1].into();
    let mut senders = JoinSet::new();
    for number in 0..count {
        let door = &scene.doors[number % 2];
        let head = door.head(&format!("Content-Length: {size}\r\n"));
        let mut raw = Raw::open(&door.address).await;
        let nearly_all = Arc::clone(&nearly_all);
        senders.spawn(async move {
            raw.send(head).await;
            // Who is refused may be so before that.
            raw.send(nearly_all).await;
            raw
        });
    }
    let mut senders = senders.join_all().await;
    let grown = Vitals::of(pid).rss_kib.saturating_sub(scene.before.rss_kib);
    let (mut taken, mut refused) = (0, 0);
    for raw in &mut senders {
        raw.send("x").await;
        let answer = raw.answer().await;
        if is_refused(answer.as_ref(), &[503]) {
            refused += 1;
        } else {
            assert_eq!(answer.map(|one| one.status), Some(202));
            taken += 1;
        }
    }
    // At both doors 16 MiB, in buffers that may be half empty; and on each connection what was read and is nobody's yet.
    println!("{count} bodies: it grew by {grown} KiB");
    let most = 96 * 1024 + 256 * count as u64;
    assert!(
        grown < most,
        "it grew by {grown} KiB for {count} bodies of {size} bytes"
    );
    assert!(
        taken >= 2 && refused >= count / 2,
        "{taken} taken, {refused} refused"
    );
    let records = scene.hub.invocations("").await.len();
    assert_eq!(records, scene.accepted + taken);
    drop(senders);
    scene.goes_on().await;
}

/// How long answers took, by their status and what they say.
type Answers = BTreeMap<(u16, String), Vec<Duration>>;

/// Calls in good order on one connection: so many `times` `each` of them at once.
async fn call_steadily(
    address: String,
    call: String,
    (begin, every): (Instant, Duration),
    (each, times): (usize, usize),
) -> Answers {
    let mut raw = Raw::open(&address).await;
    let mut beat = tokio::time::interval_at(begin, every);
    let mut answers = Answers::new();
    for _ in 0..times {
        beat.tick().await;
        let sent = Instant::now();
        assert!(raw.send(call.repeat(each)).await);
        for _ in 0..each {
            let answer = raw.answer().await.expect("every call is answered");
            let kind = (answer.status, answer.accepted());
            answers.entry(kind).or_default().push(sent.elapsed());
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn five_thousand_calls_a_second_are_taken_up_to_the_limit() {
    let (limit, seconds) = full((200, 3), (1000, 30));
    let config = config(STUCK).replace("qps = 100000", &format!("qps = {limit}"));
    let scene = Scene::start_with("", &config).await;
    let door = &scene.doors[0];
    let (begun, mut callers) = (Instant::now(), JoinSet::new());
    let mut caller = |beat, calls| {
        let (address, call) = (door.address.clone(), door.call("good"));
        callers
            .spawn(call_steadily(address, call, beat, calls))
            .id()
    };
    // Evenly, from 20 connections.
    for number in 0..20 {
        let begin = begun + number * Duration::from_millis(5);
        caller((begin, Duration::from_millis(100)), (25, 10 * seconds));
    }
    // One that has but one call on its way at a time: how long it waits is how long an answer takes.
    let alone = caller((begun, Duration::from_millis(10)), (1, 100 * seconds));
    let (mut answers, mut waits) = (Answers::new(), Vec::new());
    while let Some(done) = callers.join_next_with_id().await {
        let (caller, its_answers) = done.unwrap();
        for (kind, times) in its_answers {
            if caller == alone && kind.0 == 429 {
                waits.clone_from(&times);
            }
            answers.entry(kind).or_default().extend(times);
        }
    }
    let took = begun.elapsed().as_secs_f64();
    let mut count = |status, says: &str| {
        let kind = (status, says.to_owned());
        answers.remove(&kind).map_or(0, |times| times.len())
    };
    let (accepted, refused) = (count(202, "yes"), count(429, "no"));
    assert!(answers.is_empty(), "other answers: {answers:?}");
    assert_eq!(accepted + refused, 5_100 * seconds);
    // No second has more than the limit, and all of them together hardly less.
    let rate = accepted as f64 / took;
    println!("{rate:.0} a second for {took:.1} s");
    assert!(rate >= 0.9 * limit as f64, "{rate} a second were accepted");
    assert_eq!(
        scene.hub.records_within(limit).await,
        scene.accepted + accepted,
        "a refused call leaves no record"
    );
    waits.sort_unstable();
    let (middle, most) = (waits[waits.len() / 2], waits[waits.len() * 99 / 100]);
    println!("refused in {middle:?}, and 99 of 100 in {most:?}");
    let allowed = Duration::from_millis(full(1000, 10));
    assert!(most < allowed, "refused in {most:?}");
    scene.goes_on().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn followers_that_do_not_read_hold_up_nobody() {
    let config = "[functions.flood]\ncommand = [\"sh\", \"-c\", \"yes 0123456789abcdef0123456789abcdef | head -c 4000000; sleep 600\"]\n";
    // All of them come before the first is cut.
    let (places, count, idle) = full((64, 400, 2), (4_000, 10_000, 30));
    let bounds =
        format!("header_timeout = \"1s\"\nmax_connections = {places}\nidle_timeout = \"{idle}s\"");
    let mut hub = Hub::prepare_behind(&bounds, config);
    hub.launch().await;
    let id = hub.invoke("flood", "").await;
    hub.line(&id, |line| line.starts_with("0123")).await;
    let before = Vitals::of(hub.pid());
    if before.files == 0 {
        let why = "only root sees the descriptors of a hub";
        return skipped("followers_that_do_not_read_hold_up_nobody", why);
    }
    let address = hub.admin("").replace("http://", "");
    let ask = format!(
        "GET /v1/invocations/{id}/logs?follow=true HTTP/1.1\r\nHost: {address}\r\nAuthorization: Bearer {}\r\n\r\n",
        hub.token()
    );
    let mut followers = Vec::new();
    for _ in 0..count {
        let mut raw = Raw::open_narrow(&address).await;
        raw.send(&ask).await;
        followers.push(raw);
    }
    // While they are there, everybody else is served.
    for _ in 0..10 {
        let answer = hub.request("/v1/functions").send().await.unwrap();
        assert_eq!(answer.status(), 200);
    }
    let grown = Vitals::of(hub.pid()).rss_kib.saturating_sub(before.rss_kib);
    println!("{count} followers: it grew by {grown} KiB");
    // Three quarters of the places are for followers: each has its buffers, and what was read of the log for it.
    let most = 32 * 1024 + 192 * (places * 3 / 4);
    assert!(grown < most, "it grew by {grown} KiB");
    // Who found no place was told so, and nobody is waited for: all that do not read are cut.
    // The allocator keeps a little of what each had, and threads that read logs stay for minutes.
    let back = Vitals {
        rss_kib: before.rss_kib + 8 * places,
        threads: before.threads + 512,
        ..before
    };
    back.come_back(hub.pid()).await;
    let mut turned_away = 0;
    for raw in &mut followers {
        let answer = raw.rest().await;
        turned_away += usize::from(answer.contains("too_many_followers"));
    }
    assert!(turned_away > 0, "there were places for all");
    // Their places are free again.
    let mut reader = Raw::open(&address).await;
    reader.send(&ask).await;
    assert_eq!(reader.answer().await.map(|one| one.status), Some(200));
    let log = hub.lines("hub.log").join("\n");
    assert!(!log.contains("panicked"), "{log}");
}
