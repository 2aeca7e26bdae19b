//! One request and its answer.

use std::error::Error;

use bytes::{Bytes, BytesMut};
use http::StatusCode;
use reqwest::{Client, Response};
use tripline_model::{End, Ending, NO_ANSWER, Timestamp, check_target};

use super::prepared::Prepared;
use crate::Start;

/// How an exchange went.
pub(super) enum Outcome {
    /// The target answered.
    Answered {
        status: StatusCode,
        body: Bytes,
        /// Whether the target had more to say.
        cut: bool,
    },
    /// No byte of the request went out, for this reason.
    NotSent(String),
    /// The request went out, and for this reason nobody knows what became of it.
    NoAnswer(String),
    /// The answer came from an address that is not to be reached.
    Refused(String),
}

// === impl Outcome ===

impl Outcome {
    pub(super) fn ending(self, at: Timestamp) -> Ending {
        match self {
            Self::Answered { status, body, cut } => {
                let ending = if status.is_success() {
                    Ending::new(End::Succeeded, at, "http_status")
                } else {
                    let follow = if status.is_redirection() {
                        "; redirects are not followed"
                    } else {
                        ""
                    };
                    Ending::new(End::Failed, at, "http_status")
                        .because(format!("the target answered {}{follow}", status.as_u16()))
                };
                Ending {
                    result: Some(body),
                    result_cut: cut,
                    ..ending
                }
            }
            Self::NotSent(why) => Ending::new(End::Failed, at, "start_failed").because(why),
            Self::NoAnswer(why) => Ending::new(End::Lost, at, NO_ANSWER).because(why),
            Self::Refused(why) => Ending::new(End::Failed, at, "refused_address").because(why),
        }
    }
}

/// Sends the request of `start` once and takes the answer, as much of it as is kept. `traces`: see [`super::HttpRuntime::traced`].
pub(super) async fn exchange(
    client: &Client,
    target: &Prepared,
    start: &Start,
    traces: Option<f64>,
) -> Outcome {
    if let (Some(address), false) = (target.address, target.allow_private)
        && let Err(refused) = check_target(address)
    {
        return Outcome::NotSent(refused.to_string());
    }
    let data = start.invocation.event.data.clone().unwrap_or_default();
    let request = client
        .post(target.url.clone())
        .headers(target.headers(start, traces))
        .body(data);
    let response = match request.send().await {
        Ok(response) => response,
        Err(err) if err.is_connect() || err.is_builder() => {
            return Outcome::NotSent(format!("no connection to the target: {}", words(&err)));
        }
        Err(err) => {
            let why = words(&err);
            let why = format!("the request was sent, and no answer came back: {why}");
            return Outcome::NoAnswer(why);
        }
    };
    // Only checked addresses were connected to. Should that ever fail, nothing of the answer is shown to anybody.
    if !target.allow_private {
        let checked = response
            .remote_addr()
            .map(|address| check_target(address.ip()));
        match checked {
            Some(Ok(())) => {}
            Some(Err(refused)) => return Outcome::Refused(refused.to_string()),
            None => return Outcome::Refused("the target's address is not known".to_owned()),
        }
    }
    answer(response, start.function.max_result_bytes).await
}

/// Reads at most `limit` bytes of the body; what comes after them is not waited for.
async fn answer(mut response: Response, limit: usize) -> Outcome {
    let status = response.status();
    let mut body = BytesMut::new();
    loop {
        let chunk = match response.chunk().await {
            Ok(Some(chunk)) => chunk,
            Ok(None) => break,
            // It has said that it failed; the rest of its words changes nothing.
            Err(_) if !status.is_success() => {
                return Outcome::Answered {
                    status,
                    body: body.freeze(),
                    cut: true,
                };
            }
            Err(err) => {
                return Outcome::NoAnswer(format!(
                    "the answer {} broke off after {} bytes: {}",
                    status.as_u16(),
                    body.len(),
                    words(&err)
                ));
            }
        };
        let room = limit - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() > room {
            return Outcome::Answered {
                status,
                body: body.freeze(),
                cut: true,
            };
        }
    }
    Outcome::Answered {
        status,
        body: body.freeze(),
        cut: false,
    }
}

/// An error and its causes in one line, without the URL: there may be a token in it.
pub(super) fn words(err: &reqwest::Error) -> String {
    let mut cause: Option<&dyn Error> = err.source();
    let mut words: Vec<String> = Vec::new();
    while let Some(err) = cause {
        let text = err.to_string();
        // "client error (Connect)" says nothing, and some repeat the words of their cause.
        let new = words.last().is_none_or(|last| !last.contains(&text));
        if new && !text.starts_with("client error (") {
            words.push(text);
        }
        cause = err.source();
    }
    if words.is_empty() {
        return "unknown error".to_owned();
    }
    words.join(": ")
}
