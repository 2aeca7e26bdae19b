//! Doors with tokens of their own at the gateway, with everything that is no token, in every spelling of their paths.

use tripline_tests::{Answer, Hub, eventually, no_credentials, spellings};

use super::{address, answers, request};

/// At the store's endpoint nobody listens: its notifications are taken all the same.
const CONFIG: &str = r#"
[functions.work]
command = ["sh", "-c", "cat >> ledger; echo >> ledger"]
[triggers.one]
kind = "http"
function = "work"
route = "POST /one"
auth = { bearer = { env = "ONE" } }
[triggers.two]
kind = "http"
function = "work"
route = "POST /hooks/two"
auth = { bearer = { env = "TWO" } }
[triggers.store]
kind = "s3"
function = "work"
endpoint = "http://127.0.0.1:9"
bucket = "b"
access_key = { env = "ONE" }
secret_key = { env = "TWO" }
mode = "webhook"
route = "POST /s3"
auth = { bearer = { env = "STORE" } }
"#;

/// Each door's path and token, a token of another door, and what the right token hears there.
const DOORS: [(&str, &str, &str, u16); 3] = [
    ("/one", "one-test-token-71aa", "two-test-token-4c0e", 202),
    (
        "/hooks/two",
        "two-test-token-4c0e",
        "store-test-token-9f",
        202,
    ),
    ("/s3", "store-test-token-9f", "one-test-token-71aa", 200),
];

const METHODS: [&str; 7] = ["POST", "GET", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"];

/// Whether an answer is a refusal of who or what asked, or there was none. Anybody may ask which methods there are.
fn refuses(asked: &str, answer: Option<&Answer>) -> bool {
    let status = answer.map(|answer| answer.status);
    let is_question = asked.starts_with("OPTIONS ");
    matches!(status, None | Some(400 | 401 | 404 | 405 | 414 | 431))
        || is_question && status == Some(204)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_door_opens_to_what_is_no_token() {
    let mut hub = Hub::prepare(CONFIG);
    hub.write("ledger", "");
    let [(_, one, two, _), (_, _, store, _), _] = DOORS;
    hub.launch_with(&[("ONE", one), ("TWO", two), ("STORE", store)])
        .await;
    let gateway = address(&hub.gateway(""));
    every_door_is_there(&hub).await;
    for (path, token, other, _) in DOORS {
        for (name, headers) in no_credentials(token, other) {
            let mut requests: Vec<_> = METHODS
                .iter()
                .map(|method| request(&gateway, method, path, &headers))
                .collect();
            for target in spellings(path) {
                let target = target.replace("TOKEN", token);
                let asked = METHODS[..2].iter();
                requests.extend(asked.map(|method| request(&gateway, method, &target, &headers)));
            }
            for (asked, answer) in requests.iter().zip(answers(&gateway, &requests).await) {
                let line = asked.lines().next().unwrap_or_default();
                assert!(
                    refuses(line, answer.as_ref()),
                    "{line:.200} with a token that is {name}: {answer:?}"
                );
            }
        }
    }
    assert_eq!(hub.invocations("").await.len(), 0);
    assert_eq!(hub.lines("ledger"), Vec::<String>::new());
    for (path, token, _, status) in DOORS {
        let call = hub.client().post(hub.gateway(path)).bearer_auth(token);
        let answer = call.body("{\"Records\":null}").send().await;
        assert_eq!(
            answer.expect("an answer").status().as_u16(),
            status,
            "{path}"
        );
    }
}

/// Waits until no path is unknown.
async fn every_door_is_there(hub: &Hub) {
    for (path, ..) in DOORS {
        eventually(&format!("a door at {path}"), async || {
            let answer = hub.client().post(hub.gateway(path)).send().await.ok()?;
            (answer.status().as_u16() == 401).then_some(())
        })
        .await;
    }
}
