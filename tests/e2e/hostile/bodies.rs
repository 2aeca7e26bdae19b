//! Bodies: too large, malformed, packed, endless, too slow; and readers that do not read.

use tripline_tests::{Raw, Vitals, eventually, skipped};

use super::{EVIL, Scene, is_refused};

/// Bodies in chunks that are none. Each is refused, and its connection closed.
fn malformed_chunks() -> Vec<(&'static str, String)> {
    let many = |piece: &str, count: usize| piece.repeat(count);
    vec![
        ("no number", format!("x\r\n{EVIL}\r\n0\r\n\r\n")),
        ("below zero", format!("-4\r\n{EVIL}\r\n0\r\n\r\n")),
        ("a prefix", format!("0x4\r\n{EVIL}\r\n0\r\n\r\n")),
        (
            "a size beyond 64 bits",
            format!("{}\r\n{EVIL}\r\n0\r\n\r\n", many("f", 17)),
        ),
        (
            "a size of 64 bits",
            // It is waited for, as far as bodies go.
            format!("{}\r\n{}", many("f", 16), many(EVIL, 20_000)),
        ),
        (
            "no line end behind the data",
            format!("4\r\n{EVIL}5\r\nmore.\r\n0\r\n\r\n"),
        ),
        ("a bare line feed", format!("4;a\n\r\n{EVIL}\r\n0\r\n\r\n")),
        (
            "an extension of 1 MB",
            format!("4;{}\r\n{EVIL}\r\n0\r\n\r\n", many("a", 1 << 20)),
        ),
        (
            "10,000 trailers",
            format!("4\r\n{EVIL}\r\n0\r\n{}\r\n", many("X: a\r\n", 10_000)),
        ),
        (
            "a trailer of 1 MB",
            format!("4\r\n{EVIL}\r\n0\r\nX: {}\r\n\r\n", many("a", 1 << 20)),
        ),
        ("a byte in each chunk, for ever", many("1\r\ne\r\n", 70_000)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn chunks_that_are_none_are_refused() {
    let scene = Scene::start().await;
    for door in &scene.doors {
        for (name, body) in malformed_chunks() {
            let smuggled = door.call(&format!("{EVIL}-behind"));
            let bytes = door.head("Transfer-Encoding: chunked\r\n") + &body + &smuggled;
            let (answer, count) = door.send(bytes).await;
            let context = format!("{name} at the {}: {answer:?}", door.name);
            assert!(is_refused(answer.as_ref(), &[400, 408, 413]), "{context}");
            assert_eq!(count, 1, "{context}");
        }
    }
    scene.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn large_bodies_are_refused_before_they_are_there() {
    let scene = Scene::start().await;
    let pid = scene.hub.pid();
    for door in &scene.doors {
        // With its length: at once, whatever is sent.
        let mut raw = Raw::open(&door.address).await;
        raw.send(door.head("Content-Length: 104857600\r\n")).await;
        let answer = raw.answer().await;
        assert!(is_refused(answer.as_ref(), &[413]), "{answer:?}");
        // Without: when there is more than is taken. The rest of 100 MB finds nobody.
        let mut raw = Raw::open(&door.address).await;
        raw.send(door.head("Transfer-Encoding: chunked\r\n")).await;
        let chunk = format!("10000\r\n{}\r\n", EVIL.repeat(0x4000));
        for _ in 0..1600 {
            if !raw.send(&chunk).await {
                break;
            }
        }
        let grown = Vitals::of(pid).rss_kib.saturating_sub(scene.before.rss_kib);
        assert!(grown < 32 * 1024, "it grew by {grown} KiB");
        let answer = raw.answer().await;
        assert!(is_refused(answer.as_ref(), &[413]), "{answer:?}");
    }
    scene.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_read_is_refused_and_bytes_stay_bytes() {
    let mut scene = Scene::start().await;
    let deep = |open: &str| format!("{{\"data\":{}", open.repeat(100_000));
    let event = |rest: &str| {
        format!(
            "{{\"specversion\":\"1.0\",\"id\":\"{EVIL}\",\"type\":\"t\",\"source\":\"/s\"{rest}}}"
        )
    };
    let gateway = &scene.doors[0];
    let structured = "Content-Type: application/cloudevents+json\r\n";
    for (name, body) in [
        ("a hundred thousand arrays", deep("[").into_bytes()),
        ("a hundred thousand objects", deep("{\"a\":").into_bytes()),
        ("a member twice", event(",\"id\":\"other\"").into_bytes()),
        (
            "a number beyond all for a text",
            event(",\"subject\":1e400").into_bytes(),
        ),
        (
            "half a surrogate pair",
            event(",\"subject\":\"\\ud800\"").into_bytes(),
        ),
        (
            "no UTF-8",
            [event(",\"subject\":\"").as_bytes(), b"\xff\"}"].concat(),
        ),
        ("nothing", Vec::new()),
    ] {
        let length = format!("Connection: close\r\nContent-Length: {}\r\n", body.len());
        let head = gateway.head(&(structured.to_owned() + &length));
        let (answer, _) = gateway.send([head.as_bytes(), &body].concat()).await;
        assert!(
            is_refused(answer.as_ref(), &[400, 413]),
            "{name}: {answer:?}"
        );
    }
    // As data it is bytes like others.
    let body = event(",\"data\":1e400").replace(EVIL, "good");
    let length = format!("Connection: close\r\nContent-Length: {}\r\n", body.len());
    let head = gateway.head(&(structured.to_owned() + &length));
    let (answer, _) = gateway.send(head + &body).await;
    assert_eq!(answer.map(|one| one.status), Some(202));
    scene.accepted += 1;
    for door in &scene.doors {
        // Ten kilobytes that would be ten gigabytes.
        let packed = "Content-Encoding: gzip\r\nConnection: close\r\nContent-Length: 4\r\n";
        let (answer, _) = door.send(door.head(packed) + EVIL).await;
        assert!(is_refused(answer.as_ref(), &[415]), "{answer:?}");
        let raw_bytes = [b"\xff\xfe\x00\xc0\x80".as_slice(), b"odd"].concat();
        let head = door.head("Connection: close\r\nContent-Length: 8\r\n");
        let (answer, _) = door.send([head.as_bytes(), &raw_bytes].concat()).await;
        assert_eq!(
            answer.map(|one| one.status),
            Some(202),
            "bytes are taken as they are"
        );
        scene.accepted += 1;
    }
    // Parts of a path: what is no text names nothing.
    let gateway = &scene.doors[0];
    for (part, statuses) in [
        ("%ff", [400, 400]),
        ("%c0%80", [400, 400]),
        ("%00", [202, 400]),
    ] {
        let begin = gateway.begin.replace("/note", &format!("/part/{part}"));
        let head = format!("{begin}Connection: close\r\nContent-Length: 0\r\n\r\n");
        let (answer, _) = gateway.send(head).await;
        let answer = answer.expect("it is answered");
        assert!(statuses.contains(&answer.status), "{part}: {answer:?}");
        scene.accepted += usize::from(answer.status == 202);
    }
    scene.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_body_is_cut_and_a_broken_one_never_runs() {
    let scene = Scene::start().await;
    let gateway = &scene.doors[0];
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut raw = Raw::open(&gateway.address).await;
        raw.send(gateway.head("Content-Length: 100\r\n") + EVIL)
            .await;
        slow.push(raw);
    }
    for raw in &mut slow {
        let answer = raw.answer().await;
        assert!(is_refused(answer.as_ref(), &[408]), "{answer:?}");
    }
    for door in &scene.doors {
        for _ in 0..20 {
            let mut raw = Raw::open(&door.address).await;
            raw.send(door.head("Content-Length: 100\r\n") + EVIL).await;
            raw.abandon();
        }
    }
    scene.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_does_not_read_answers_is_cut() {
    let scene = Scene::start().await;
    if scene.before.files == 0 {
        let why = "only root sees the descriptors of a hub";
        return skipped("who_does_not_read_answers_is_cut", why);
    }
    let admin = &scene.doors[1];
    let ask = admin
        .head("")
        .replace("POST /v1/functions/note/invocations", "GET /metrics");
    let mut deaf = Vec::new();
    for _ in 0..30 {
        let mut raw = Raw::open_narrow(&admin.address).await;
        // The answers are megabytes: more than a connection holds.
        raw.send(ask.repeat(300)).await;
        deaf.push(raw);
    }
    let pid = scene.hub.pid();
    eventually("the hub has begun to answer them", async || {
        (Vitals::of(pid).files >= scene.before.files + 25).then_some(())
    })
    .await;
    // They stay, and hold nothing any more.
    scene.before.come_back(pid).await;
    drop(deaf);
    scene.ends_unharmed().await;
}
