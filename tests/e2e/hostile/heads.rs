//! Heads: malformed, too large, too slow, never ending, and two that claim to be one.

use std::time::Duration;

use tokio::time::Instant;
use tripline_tests::Raw;

use super::{BOUNDS, Door, EVIL, NOTE, Scene, config, is_refused};

/// What no head of a request looks like: its bytes at a door, and the answers that are right.
fn malformed(door: &Door) -> Vec<(&'static str, Vec<u8>, &'static [u16])> {
    let bad: &[u16] = &[400];
    let large: &[u16] = &[431, 414];
    let with = |header: &str| door.head(header).into_bytes();
    let raw = |text: &str| text.as_bytes().to_vec();
    let raw_header = |value: &[u8]| {
        let mut bytes = door.begin.clone().into_bytes();
        bytes.extend_from_slice(b"X: a");
        bytes.extend_from_slice(value);
        bytes.extend_from_slice(b"b\r\nContent-Length: 0\r\n\r\n");
        bytes
    };
    vec![
        ("no method", raw("\x01\x02\x03\r\n\r\n"), bad),
        ("nothing but a word", raw("hello\r\n\r\n"), bad),
        ("HTTP/0.9", raw("POST /note\r\n\r\n"), bad),
        (
            "HTTP/3.7",
            raw("POST /note HTTP/3.7\r\nHost: x\r\n\r\n"),
            bad,
        ),
        ("TLS", raw("\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n"), bad),
        (
            "a space in the path",
            raw("POST /no te HTTP/1.1\r\nHost: x\r\n\r\n"),
            bad,
        ),
        ("no colon", with("Xyz\r\n"), bad),
        (
            "a space before the colon",
            with("Content-Length : 4\r\n"),
            bad,
        ),
        ("a folded header", with("X: a\r\n b\r\n"), bad),
        ("an empty name", with(": a\r\n"), bad),
        ("a bare line feed in a value", raw_header(b"\n"), bad),
        ("a zero byte", raw_header(b"\0"), bad),
        ("a bare carriage return", raw_header(b"\r"), bad),
        ("no number", with("Content-Length: four\r\n"), bad),
        ("a sign", with("Content-Length: +4\r\n"), bad),
        ("below zero", with("Content-Length: -4\r\n"), bad),
        ("two numbers", with("Content-Length: 4, 5\r\n"), bad),
        (
            "two lengths",
            with("Content-Length: 4\r\nContent-Length: 5\r\n"),
            bad,
        ),
        (
            "a length beyond 64 bits",
            with("Content-Length: 99999999999999999999\r\n"),
            bad,
        ),
        (
            "an unknown coding",
            with("Transfer-Encoding: gzip\r\n"),
            bad,
        ),
        (
            "chunked, but not last",
            with("Transfer-Encoding: chunked, gzip\r\n"),
            bad,
        ),
        (
            "nearly chunked",
            with("Transfer-Encoding: xchunked\r\n"),
            bad,
        ),
        ("10,000 headers", with(&"X: a\r\n".repeat(10_000)), large),
        (
            "a header of 1 MB",
            with(&format!("X: {}\r\n", "a".repeat(1 << 20))),
            large,
        ),
        (
            "a path of 1 MB",
            raw(&format!("POST /{} HTTP/1.1\r\n\r\n", "a".repeat(1 << 20))),
            large,
        ),
        (
            "10,000 parameters",
            raw(&format!(
                "POST /note?{} HTTP/1.1\r\n\r\n",
                "a=1&".repeat(10_000)
            )),
            large,
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_request_is_refused_and_nothing_behind_it_is_read() {
    let scene = Scene::start().await;
    for door in &scene.doors {
        for (name, mut bytes, statuses) in malformed(door) {
            let behind = format!("{EVIL}-behind");
            bytes.extend_from_slice(door.call(&behind).as_bytes());
            let (answer, count) = door.send(&bytes).await;
            let context = format!("{} at the {}: {answer:?}", name, door.name);
            assert!(is_refused(answer.as_ref(), statuses), "{context}");
            assert_eq!(count, 1, "{context}");
        }
    }
    scene.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_lengths_of_one_body_smuggle_nothing() {
    let mut scene = Scene::start().await;
    let chunked = "Transfer-Encoding: chunked\r\n";
    for door in &scene.doors {
        let smuggled = door.call(&format!("{EVIL}-smuggled"));
        let body = format!("4\r\ngood\r\n0\r\n\r\n{smuggled}");
        let length = format!("Content-Length: {}\r\n", body.len());
        let short = "Content-Length: 4\r\n";
        for headers in [
            format!("{length}{chunked}"),
            format!("{chunked}{length}"),
            format!("{short}{chunked}"),
            format!("{chunked}{short}"),
            // A bare line feed may end a line: whoever takes it for a part of the value must not be told of a body that way.
            format!("Content-Length: 4\n{chunked}"),
            format!("Transfer-Encoding: chunked\n{short}"),
        ] {
            let (answer, count) = door.send(door.head(&headers) + &body).await;
            // Taken by its chunks, or refused; what follows is never a request.
            assert_eq!(count, 1, "{headers} at the {}: {answer:?}", door.name);
            let answer = answer.expect("it is answered");
            match (answer.status, answer.accepted().as_str()) {
                (202, "yes") => scene.accepted += 1,
                (400, "no") => {}
                other => panic!("{other:?}: {headers} at the {}", door.name),
            }
        }
        // HTTP/1.0 has no chunks.
        let old = door.begin.replace("HTTP/1.1", "HTTP/1.0");
        let (answer, count) = door.send(format!("{old}{chunked}\r\n{body}")).await;
        assert!(is_refused(answer.as_ref(), &[400]), "{answer:?}");
        assert_eq!(count, 1);
    }
    scene.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http_2_is_not_spoken() {
    let scene = Scene::start().await;
    for door in &scene.doors {
        // The preface, settings, and streams that are reset as soon as they are opened.
        let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
        for stream in 0..1000_u32 {
            let id = (2 * stream + 1).to_be_bytes();
            bytes.extend_from_slice(b"\0\0\x01\x01\x04");
            bytes.extend_from_slice(&id);
            bytes.extend_from_slice(b"\x82\0\0\x04\x03\0");
            bytes.extend_from_slice(&id);
            bytes.extend_from_slice(b"\0\0\0\x08");
        }
        let mut raw = Raw::open(&door.address).await;
        raw.send(bytes).await;
        let answer = raw.rest().await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
            "{answer}"
        );
    }
    scene.ends_unharmed().await;
}

/// What callers begin to say who take the listener for another one.
fn greetings_of_others() -> Vec<(&'static str, Vec<u8>)> {
    // The record says that 512 bytes follow; half of them do.
    let hello = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        &[7; 245],
    ]
    .concat();
    vec![
        ("the first byte of a TLS hello", hello[..1].to_vec()),
        ("the head of a TLS record", hello[..5].to_vec()),
        ("half a TLS hello", hello),
        ("SSH", b"SSH-2.0-OpenSSH_9.9\r\n".to_vec()),
        ("a byte order mark", b"\xef\xbb\xbf".to_vec()),
        ("zeros", vec![0; 100_000]),
        (
            "all bytes but a line end",
            (0..100_000_u32).map(|n| n as u8 | 0x80).collect(),
        ),
        ("line ends", b"\r\n".repeat(50_000)),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn half_a_tls_hello_and_junk_are_cut_in_time() {
    let mut scene = Scene::start().await;
    let mut callers = Vec::new();
    for door in &scene.doors {
        for (name, bytes) in greetings_of_others() {
            // Together as many as a listener has places.
            for _ in 0..8 {
                let mut raw = Raw::open(&door.address).await;
                raw.send(&bytes).await;
                callers.push((door.name, name, raw));
            }
        }
    }
    // Meanwhile others are served.
    scene.good_calls().await;
    for (door, name, raw) in &mut callers {
        let sent = Instant::now();
        let answer = raw.rest().await;
        let context = format!("{name} at the {door}: {answer:?}");
        let refused = ["HTTP/1.1 400 ", "HTTP/1.1 408 ", "HTTP/1.1 431 "];
        assert!(
            answer.is_empty() || refused.iter().any(|one| answer.starts_with(one)),
            "{context}"
        );
        assert!(sent.elapsed() < Duration::from_secs(10), "{context}");
    }
    scene.ends_unharmed().await;
}

/// Connections that send no byte, or a part of a head, at both doors in turn.
async fn slow_callers(scene: &Scene, count: usize) -> Vec<Raw> {
    let mut slow = Vec::new();
    for number in 0..count {
        let door = &scene.doors[number % 2];
        let mut raw = Raw::open(&door.address).await;
        if number % 3 > 0 {
            raw.send(&door.begin[..number % 30]).await;
        }
        slow.push(raw);
    }
    slow
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_and_silent_connections_take_no_place_from_others() {
    // Longer than good calls wait.
    let patient = BOUNDS.replace("header_timeout = \"1s\"", "header_timeout = \"1h\"");
    let mut scene = Scene::start_with(&patient, &config(NOTE)).await;
    // Far more than there are places for, and none goes by itself.
    let slow = slow_callers(&scene, 1000).await;
    scene.good_calls().await;
    drop(slow);
    scene.ends_unharmed().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_are_cut_and_hear_why() {
    let scene = Scene::start().await;
    let mut slow = slow_callers(&scene, 60).await;
    for raw in &mut slow {
        // One that goes on byte by byte is no better off.
        raw.send("a").await;
        let answer = raw.rest().await;
        assert!(
            answer.is_empty() || answer.starts_with("HTTP/1.1 408 "),
            "{answer}"
        );
    }
    scene.ends_unharmed().await;
}
