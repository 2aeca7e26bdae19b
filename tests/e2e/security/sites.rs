//! Web pages that call the admin API from the browser of whoever has the token: by a DNS name that leads here, or from
//! another site.

use super::{address, answers, guarded, request};

/// The followed log among them: an event stream is what a page could read on and on.
const TARGETS: [(&str, &str); 6] = [
    ("GET", "/healthz"),
    ("GET", "/v1/functions"),
    (
        "GET",
        "/v1/invocations/019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e/logs?follow=true&format=sse",
    ),
    ("POST", "/v1/functions/work/invocations"),
    ("POST", "/v1/triggers/door/pause"),
    ("OPTIONS", "/v1/functions"),
];

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_here_are_not_ours() {
    let hub = guarded().await;
    let admin = address(&hub.admin(""));
    let port = admin.split(':').nth(1).expect("a port");
    let bearer = [("authorization", format!("Bearer {}", hub.token()))];
    for host in [
        "evil.example",
        "127.0.0.1.nip.io",
        "localhost.evil.example",
        "0.0.0.0",
        "[::]",
        "0",
        "127.1",
        "2130706433",
        "0x7f000001",
        "evil.example#localhost",
        "localhost@evil.example",
        "evil.example\\@localhost",
        "[::ffff:10.0.0.1]",
        "10.0.0.1",
        "",
    ] {
        for (method, target) in TARGETS {
            let host = format!("{host}:{port}");
            let asked = [request(&host, method, target, &bearer)];
            let answer = answers(&admin, &asked).await.remove(0).expect("an answer");
            assert!(
                matches!(answer.status, 421 | 400),
                "{host:?} {target}: {answer:?}"
            );
        }
    }
    for good in ["localhost", "localhost.", "127.0.0.1", "[::1]", "LOCALHOST"] {
        let asked = [request(
            &format!("{good}:{port}"),
            "GET",
            "/v1/functions",
            &bearer,
        )];
        let answer = answers(&admin, &asked).await.remove(0).expect("an answer");
        assert_eq!(answer.status, 200, "{good}");
    }
    assert_eq!(hub.invocations("").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_other_sites_are_refused_whatever_they_hold() {
    let hub = guarded().await;
    let admin = address(&hub.admin(""));
    let port = admin.split(':').nth(1).expect("a port");
    for (name, value) in [
        ("origin", "null".to_owned()),
        ("origin", "http://evil.example".to_owned()),
        ("origin", "http://127.0.0.1:1".to_owned()),
        ("origin", format!("http://0.0.0.0:{port}")),
        ("origin", format!("http://localhost:{port}.evil.example")),
        ("sec-fetch-site", "cross-site".to_owned()),
        ("sec-fetch-site", "same-site".to_owned()),
    ] {
        for (method, target) in TARGETS {
            let headers = [
                ("authorization", format!("Bearer {}", hub.token())),
                (name, value.clone()),
            ];
            let asked = [request(&admin, method, target, &headers)];
            let answer = answers(&admin, &asked).await.remove(0).expect("an answer");
            assert_eq!(answer.status, 403, "{name}: {value} {target}: {answer:?}");
            assert_eq!(answer.json()["type"], "urn:tripline:other_site");
            assert!(!answer.head.contains("access-control-"), "{answer:?}");
        }
    }
    let own = [
        ("authorization", format!("Bearer {}", hub.token())),
        ("origin", format!("http://{admin}")),
    ];
    let asked = [request(&admin, "GET", "/v1/functions", &own)];
    let answer = answers(&admin, &asked).await.remove(0).expect("an answer");
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(hub.invocations("").await.len(), 0);
    assert_eq!(hub.get("/v1/triggers/door").await["state"], "running");
}
