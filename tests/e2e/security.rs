//! Callers without rights, guessed tokens, harmful names and texts, and secrets that must stay secret.
//!
//! `matrix` and `gateway` send every invalid token in every spelling to every route the hub describes and every route
//! of a trigger; `guesses` makes sure that guessing blocks only the address that guesses; `sites` sends host names
//! and web pages of others. `canaries` puts a secret wherever a configuration has one, lets everything fail, and
//! looks for it, encoded forms included, in logs, answers, files, spans and `/proc`; `places` finds those places in
//! the sources, so that a new one without a canary fails. `names` uses names that would be paths in every parameter,
//! argument, configuration and event; `texts` text that would steer a terminal or forge a line; `files` checks that
//! the hub's files are the hub's alone; `memory` that nobody reads what hub and executor hold;
//! `ports` that an executor listens for its warm instances alone.

mod canaries;
mod files;
mod gateway;
mod guesses;
mod matrix;
mod memory;
mod names;
mod places;
mod ports;
mod sites;
mod texts;

use tripline_tests::{Answer, Hub, Raw};

/// A function and a door with a token of its own.
const CONFIG: &str = r#"
[functions.work]
command = ["sh", "-c", "cat >> ledger; echo >> ledger"]
[triggers.door]
kind = "http"
function = "work"
route = "POST /door"
auth = { bearer = { env = "DOOR_TOKEN" } }
"#;

const DOOR_TOKEN: &str = "door-token-5d3b";

/// Bytes that are sent together on one connection, and the answers to them: the next is not waited for.
const TOGETHER: usize = 32;

/// A hub with [`CONFIG`] and an empty ledger.
async fn guarded() -> Hub {
    let mut hub = Hub::prepare(CONFIG);
    hub.write("ledger", "");
    hub.launch_with(&[("DOOR_TOKEN", DOOR_TOKEN)]).await;
    hub
}

/// `host:port` of a URL.
fn address(url: &str) -> String {
    let rest = url.trim_start_matches("http://");
    rest.split('/').next().unwrap_or_default().to_owned()
}

/// A request without a body.
fn request(address: &str, method: &str, target: &str, headers: &[(&str, String)]) -> String {
    let lines = headers
        .iter()
        .map(|(name, value)| format!("{name}: {value}\r\n"));
    let lines: String = lines.collect();
    format!("{method} {target} HTTP/1.1\r\nhost: {address}\r\ncontent-length: 0\r\n{lines}\r\n")
}

/// Sends every request and gives the answer to each; `None` where the connection was closed without one. None of them may
/// be a `HEAD`, whose answers have no bodies.
async fn answers(address: &str, requests: &[String]) -> Vec<Option<Answer>> {
    let mut all = Vec::with_capacity(requests.len());
    while all.len() < requests.len() {
        let end = requests.len().min(all.len() + TOGETHER);
        let mut raw = Raw::open(address).await;
        let before = all.len();
        raw.send(requests[before..end].concat()).await;
        while all.len() < end {
            match raw.answer().await {
                Some(answer) => all.push(Some(answer)),
                None => break,
            }
        }
        if all.len() == before {
            all.push(None);
        }
    }
    all
}
