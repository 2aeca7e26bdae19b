//! Callers over HTTP: half of them repeat a call with its idempotency key until they know.

use std::time::Duration;

use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::{GUARDED, Pace, client};
use crate::history::{Answer, History};
use crate::{payload, secrets};

const EVERY: Duration = Duration::from_millis(25);

/// How often a call is repeated, at that pace: as long as a hub may take to come back.
const PATIENCE: usize = 400;

/// One who calls the hub.
pub(crate) struct Caller {
    client: Client,
    gateway: String,
}

/// What the function does with the n-th event.
fn behaviour(n: usize) -> &'static str {
    match n % 24 {
        3 | 10 => "-slow",
        7 | 16 => "-fail",
        12 => "-daemon",
        _ => "",
    }
}

// === impl Caller ===

impl Caller {
    pub(crate) fn new(gateway: &str) -> Self {
        Self {
            client: client(),
            gateway: gateway.to_owned(),
        }
    }

    /// Calls until it is told to stop; every mark begins with `path`.
    pub(super) async fn go_on(self, path: String, history: History, stop: CancellationToken) {
        let mut pace = Pace::new(EVERY, stop);
        for n in 0_usize.. {
            if !pace.next().await {
                return;
            }
            let mark = format!("{path}-{n}{}", behaviour(n));
            if n % 2 == 0 {
                self.call_until_known(&mark, &history, &mut pace).await;
            } else {
                self.call_once(&mark, &history).await;
            }
        }
    }

    /// With a key, and again with that key as long as nobody says whether the event is accepted; then a refusal says
    /// nothing about the first call. Also when the others have stopped.
    async fn call_until_known(&self, mark: &str, history: &History, pace: &mut Pace) {
        let mut is_open = false;
        for _ in 0..PATIENCE {
            match self.call(mark, true, history).await {
                Answer::Unknown => is_open = true,
                Answer::Refused if is_open => {}
                Answer::Receipt(_) | Answer::Refused => return,
            }
            pace.interval.tick().await;
        }
    }

    /// Without a key, and never again.
    pub(crate) async fn call_once(&self, mark: &str, history: &History) -> Answer {
        self.call(mark, false, history).await
    }

    async fn call(&self, mark: &str, with_key: bool, history: &History) -> Answer {
        history.sends(mark);
        let mut request = self
            .client
            .post(format!("{}{mark}", self.gateway))
            .body(payload::of(mark));
        if mark.starts_with(GUARDED) {
            request = request.bearer_auth(secrets::bearer());
        }
        if with_key {
            request = request.header("Idempotency-Key", mark);
        }
        let answer = answer_to(request).await.unwrap_or_else(|strange| {
            history.lock().strange.insert(strange);
            Answer::Unknown
        });
        history.answered(mark, answer.clone());
        answer
    }
}

/// What the caller is told; an answer of no kind that there should be is the error.
async fn answer_to(request: RequestBuilder) -> Result<Answer, String> {
    let Ok(answer) = request.send().await else {
        return Ok(Answer::Unknown);
    };
    let status = answer.status().as_u16();
    let Ok(body) = answer.json::<Value>().await else {
        return Ok(Answer::Unknown);
    };
    match (
        status,
        body["request_id"].as_str(),
        body["accepted"].as_str(),
    ) {
        (202, Some(id), _) => Ok(Answer::Receipt(id.to_owned())),
        (400.., _, Some("no")) => Ok(Answer::Refused),
        (500.., _, Some("unknown")) => Ok(Answer::Unknown),
        _ => Err(format!("{status}: {body}")),
    }
}
