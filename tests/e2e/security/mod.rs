//! Callers without rights, tokens guessed, names and texts made to do harm, secrets that must stay secret.

mod canaries;
mod files;
mod gateway;
mod guesses;
mod matrix;
mod names;
mod places;
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
