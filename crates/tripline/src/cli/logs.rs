//! `logs`: prints the log of an invocation, as it is now or live to its end.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::args::LogsArgs;
use super::client::AdminClient;
use super::failure::{Exit, Failure};
use super::sse::{SseEvent, SseReader};
use super::table::{text, text_or_dash};
use super::{Terminal, escape};

/// Lines asked for at once.
const PAGE: usize = 1000;
/// Broken connections in a row after which a follower gives up.
const MAX_BREAKS: u32 = 5;
const BREAK_PAUSE: Duration = Duration::from_millis(500);

/// How lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// The text alone.
    Text,
    /// Time, stream, text.
    Timestamps,
    /// The API's JSON.
    Json,
}

/// Prints a log.
pub(crate) async fn logs(
    args: LogsArgs,
    client: &AdminClient,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let shape = match (args.json, args.timestamps) {
        (true, _) => Shape::Json,
        (false, true) => Shape::Timestamps,
        (false, false) => Shape::Text,
    };
    if args.follow {
        return follow_to_end(&args.request_id, shape, client, terminal).await;
    }
    let mut after = 0;
    loop {
        let query = [
            ("format", "json".to_owned()),
            ("after", after.to_string()),
            ("limit", PAGE.to_string()),
        ];
        let path = ["v1", "invocations", &args.request_id, "logs"];
        let page = client.get(&path, &query).await?;
        let lines = page.as_array().ok_or_else(|| client.stranger())?;
        for line in lines {
            after = write_line(line, shape, terminal)?.max(after);
        }
        if lines.len() < PAGE {
            return Ok(Exit::Done);
        }
    }
}

/// Prints lines as they come until the invocation has ended; [`Exit::Failed`] unless it succeeded.
pub(crate) async fn follow_to_end(
    request_id: &str,
    shape: Shape,
    client: &AdminClient,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let mut after = 0;
    let mut breaks = 0;
    loop {
        let before = after;
        let broken = match follow_once(request_id, &mut after, shape, (client, terminal)).await {
            Ok(Some(end)) => return say_end(&end, terminal),
            // The hub closed the stream: it is stopping, or restarting.
            Ok(None) => None,
            Err(failure @ Failure::Unreachable { .. }) => Some(failure),
            Err(failure) => return Err(failure),
        };
        breaks = if after > before { 0 } else { breaks + 1 };
        if breaks >= MAX_BREAKS {
            return Err(broken.unwrap_or_else(|| {
                Failure::Refused("the hub closes the log before its end".to_owned())
            }));
        }
        tokio::time::sleep(BREAK_PAUSE).await;
    }
}

/// Follows over one connection; `None` when it closes before the end of the invocation.
async fn follow_once(
    request_id: &str,
    after: &mut u64,
    shape: Shape,
    (client, terminal): (&AdminClient, &mut Terminal<'_>),
) -> Result<Option<Value>, Failure> {
    let mut response = client.follow(request_id, *after).await?;
    let mut reader = SseReader::default();
    while let Some(chunk) = client.next_chunk(&mut response).await? {
        for event in reader.push(&chunk).ok_or_else(|| client.stranger())? {
            let SseEvent { kind, data, .. } = event;
            let value: Value = serde_json::from_str(&data).map_err(|_| client.stranger())?;
            if kind == "end" {
                return Ok(Some(value));
            }
            *after = write_line(&value, shape, terminal)?.max(*after);
        }
        terminal.out.flush()?;
    }
    Ok(None)
}

fn say_end(end: &Value, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    terminal.out.flush()?;
    let state = text_or_dash(end, "state");
    let reason = text(end, "detail").or_else(|| text(end, "reason"));
    match reason.filter(|_| state != "succeeded") {
        Some(reason) => {
            let (state, reason) = (escape::one_line(&state), escape::one_line(&reason));
            writeln!(terminal.err, "{state}: {reason}")?;
        }
        None => writeln!(terminal.err, "{}", escape::one_line(&state))?,
    }
    Ok(if state == "succeeded" {
        Exit::Done
    } else {
        Exit::Failed
    })
}

/// Writes one line and answers its number.
fn write_line(line: &Value, shape: Shape, terminal: &mut Terminal<'_>) -> Result<u64, Failure> {
    let seq = line.get("seq").and_then(Value::as_u64).unwrap_or(0);
    if shape == Shape::Json {
        writeln!(terminal.out, "{line}")?;
        return Ok(seq);
    }
    if shape == Shape::Timestamps {
        let (at, stream) = (text_or_dash(line, "at"), text_or_dash(line, "stream"));
        let (at, stream) = (escape::one_line(&at), escape::one_line(&stream));
        write!(terminal.out, "{at} {stream:<6} ")?;
    }
    let bytes = match text(line, "text") {
        Some(text) => text.into_bytes(),
        None => STANDARD
            .decode(text(line, "base64").unwrap_or_default())
            .unwrap_or_default(),
    };
    if terminal.is_terminal {
        writeln!(terminal.out, "{}", escape::log_text(&bytes))?;
    } else {
        terminal.out.write_all(&bytes)?;
        terminal.out.write_all(b"\n")?;
    }
    Ok(seq)
}
