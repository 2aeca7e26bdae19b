//! Tokens that are guessed: whoever sends many wrong ones is not listened to, and nobody else is shut out by it.

use std::net::UdpSocket;

use tripline_tests::{Hub, skipped};

use super::{CONFIG, DOOR_TOKEN, address, answers, guarded, request};

/// Different wrong tokens, and the statuses they got.
async fn guess(address: &str, method: &str, target: &str, count: usize) -> Vec<u16> {
    let wrong = |number| [("authorization", format!("Bearer wrong-{number}"))];
    let requests: Vec<_> = (0..count)
        .map(|number| request(address, method, target, &wrong(number)))
        .collect();
    let answers = answers(address, &requests).await;
    answers
        .into_iter()
        .flatten()
        .map(|answer| answer.status)
        .collect()
}

async fn with(address: &str, method: &str, target: &str, token: &str) -> u16 {
    let right = request(
        address,
        method,
        target,
        &[("authorization", format!("Bearer {token}"))],
    );
    let answers = answers(address, &[right]).await;
    answers[0].as_ref().expect("an answer").status
}

#[tokio::test(flavor = "multi_thread")]
async fn on_loopback_guesses_are_refused_and_the_token_is_let_in() {
    let hub = guarded().await;
    for (url, method, target, token, good) in [
        (hub.admin(""), "GET", "/v1/functions", hub.token(), 200),
        (hub.gateway(""), "POST", "/door", DOOR_TOKEN.to_owned(), 202),
    ] {
        let address = address(&url);
        let statuses = guess(&address, method, target, 100).await;
        assert_eq!(
            (statuses[0], statuses[19], statuses[20], statuses[99]),
            (401, 401, 429, 429),
            "{statuses:?}"
        );
        assert_eq!(with(&address, method, target, &token).await, good);
    }
    let log = hub.lines("hub.log");
    let warnings: Vec<_> = log
        .iter()
        .filter(|line| line.contains("wrong tokens"))
        .collect();
    assert_eq!(warnings.len(), 2, "{log:#?}");
    assert!(
        warnings
            .iter()
            .all(|line| line.contains("127.0.0.1") && !line.contains("wrong-")),
        "{warnings:?}"
    );
}

/// An address of this machine that is not loopback. Nothing is sent.
fn own_address() -> Option<String> {
    let socket = UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then(|| own.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_guesses_from_elsewhere_shuts_out_only_itself() {
    let Some(own) = own_address() else {
        return skipped(
            "guesses from elsewhere",
            "this machine has no address but loopback",
        );
    };
    let mut hub = Hub::prepare(CONFIG);
    hub.write("ledger", "");
    let listen = "[gateway]\nlisten = \"0.0.0.0:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n";
    hub.write("tripline.toml", &format!("{listen}{CONFIG}"));
    hub.launch_with(&[("DOOR_TOKEN", DOOR_TOKEN)]).await;
    let here = address(&hub.gateway("")).replace("0.0.0.0", "127.0.0.1");
    let there = here.replace("127.0.0.1", &own);
    assert_eq!(with(&there, "POST", "/door", DOOR_TOKEN).await, 202);
    let statuses = guess(&there, "POST", "/door", 30).await;
    assert_eq!((statuses[19], statuses[20]), (401, 429), "{statuses:?}");
    assert_eq!(
        with(&there, "POST", "/door", DOOR_TOKEN).await,
        429,
        "it is not looked at"
    );
    assert_eq!(with(&here, "POST", "/door", DOOR_TOKEN).await, 202);
    // Another door has other tokens.
    assert_eq!(
        with(
            &address(&hub.admin("")),
            "GET",
            "/v1/functions",
            &hub.token()
        )
        .await,
        200
    );
}
