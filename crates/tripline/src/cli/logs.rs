//! `logs`: prints the log of an invocation, as it is now or live to its end.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tokio::time::Instant;

use super::args::LogsArgs;
use super::client::AdminClient;
use super::failure::{Exit, Failure};
use super::sse::{SseEvent, SseReader};
use super::table::{text, text_or_dash};
use super::{Terminal, escape};

/// Lines asked for at once.
const PAGE: usize = 1000;
/// How long a follower waits for a hub that is away: a restart or an upgrade takes less.
const PATIENCE: Duration = Duration::from_secs(60);
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

/// Prints lines.
struct Printer {
    shape: Shape,
    /// The stream of the line that is not ended, if there is one.
    open: Option<String>,
}

/// Prints a log.
pub(crate) async fn logs(
    args: LogsArgs,
    client: &AdminClient<'_>,
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
    let last = print(&args.request_id, shape, client, terminal).await?;
    if last == 0 {
        print_why_nothing(&args.request_id, client, terminal).await?;
    }
    Ok(Exit::Done)
}

/// Prints what there is, and answers the number of the last line.
async fn print(
    request_id: &str,
    shape: Shape,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<u64, Failure> {
    let (mut after, mut printer) = (0, Printer::new(shape));
    loop {
        let query = [
            ("format", "json".to_owned()),
            ("after", after.to_string()),
            ("limit", PAGE.to_string()),
        ];
        let path = ["v1", "invocations", request_id, "logs"];
        let page = client.get(&path, &query).await?;
        let lines = page.as_array().ok_or_else(|| client.not_a_hub())?;
        for line in lines {
            after = printer.write(line, terminal)?.max(after);
        }
        if lines.len() < PAGE {
            printer.end_line(terminal)?;
            return Ok(after);
        }
    }
}

/// Prints a log on standard error, for a command whose output is something else. It never fails that command.
pub(crate) async fn print_aside(
    request_id: &str,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) {
    let mut aside = Terminal {
        out: &mut *terminal.err,
        err: &mut io::sink(),
        input: &mut io::empty(),
        // Words on standard error are escaped wherever it leads.
        is_terminal: true,
        ..*terminal
    };
    if let Err(failure) = print(request_id, Shape::Text, client, &mut aside).await {
        let words = escape::document(failure.to_string().as_bytes());
        // If even this cannot be written, there is no other place to report it.
        let _ = writeln!(terminal.err, "the log cannot be shown: {words}");
    }
}

/// A run that was started has a log, at least of that. Says why there is none.
async fn print_why_nothing(
    request_id: &str,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let path = ["v1", "invocations", request_id];
    let invocation = client.get(&path, &[]).await?;
    let state = text_or_dash(&invocation, "state");
    let state = escape::one_line(&state);
    match text(&invocation, "reason") {
        Some(reason) => {
            let reason = escape::one_line(&reason);
            writeln!(terminal.err, "never started: {state} ({reason})")?;
        }
        None => writeln!(terminal.err, "not started yet: {state}")?,
    }
    Ok(())
}

/// Prints lines as they come until the invocation has ended; [`Exit::Failed`] unless it succeeded.
pub(crate) async fn follow_to_end(
    request_id: &str,
    shape: Shape,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let (mut after, mut printer) = (0, Printer::new(shape));
    // Since when nothing has come, and whether that was reported. Nothing is waited for before the hub was there once.
    let (mut away, mut reported) = (None, false);
    loop {
        let before = after;
        let place = (&mut after, &mut printer);
        let broken = match follow_once(request_id, place, (client, terminal)).await {
            Ok(Some(end)) => {
                printer.end_line(terminal)?;
                return print_end(&end, terminal);
            }
            // The hub closed the stream: it is stopping, or restarting.
            Ok(None) => None,
            Err(failure @ Failure::Unreachable { .. }) => Some(failure),
            Err(failure) => return Err(failure),
        };
        if after > before {
            (away, reported) = (None, false);
        }
        let since = *away.get_or_insert_with(Instant::now);
        match broken {
            Some(failure) if after == 0 || since.elapsed() >= PATIENCE => return Err(failure),
            None if since.elapsed() >= PATIENCE => {
                let why = "the hub closes the log before its end".to_owned();
                return Err(Failure::Refused(why));
            }
            Some(_) if !reported => {
                reported = true;
                writeln!(
                    terminal.err,
                    "the hub is away; waiting for it for up to a minute"
                )?;
            }
            _ => {}
        }
        tokio::time::sleep(BREAK_PAUSE).await;
    }
}

/// Follows over one connection; `None` when it closes before the end of the invocation.
async fn follow_once(
    request_id: &str,
    (after, printer): (&mut u64, &mut Printer),
    (client, terminal): (&AdminClient<'_>, &mut Terminal<'_>),
) -> Result<Option<Value>, Failure> {
    let mut response = client.follow(request_id, *after).await?;
    let mut reader = SseReader::default();
    while let Some(chunk) = client.next_chunk(&mut response).await? {
        for event in reader.push(&chunk).ok_or_else(|| client.not_a_hub())? {
            let SseEvent { kind, data, .. } = event;
            let value: Value = serde_json::from_str(&data).map_err(|_| client.not_a_hub())?;
            if kind == "end" {
                return Ok(Some(value));
            }
            *after = printer.write(&value, terminal)?.max(*after);
        }
        terminal.out.flush()?;
    }
    Ok(None)
}

fn print_end(end: &Value, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    let state = text_or_dash(end, "state");
    let reason = text(end, "detail").or_else(|| text(end, "reason"));
    match reason.filter(|reason| state != "succeeded" && *reason != state) {
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

// === impl Printer ===

impl Printer {
    fn new(shape: Shape) -> Self {
        Self { shape, open: None }
    }

    /// Writes one line and answers its number. What the function has not ended is ended where another stream goes on.
    fn write(&mut self, line: &Value, terminal: &mut Terminal<'_>) -> Result<u64, Failure> {
        let seq = line.get("seq").and_then(Value::as_u64).unwrap_or(0);
        if self.shape == Shape::Json {
            writeln!(terminal.out, "{}", escape::json(line))?;
            return Ok(seq);
        }
        let stream = text_or_dash(line, "stream");
        if self.open.as_ref().is_some_and(|open| *open != stream) {
            self.end_line(terminal)?;
        }
        if self.shape == Shape::Timestamps {
            let at = text_or_dash(line, "at");
            let (at, stream) = (escape::one_line(&at), escape::one_line(&stream));
            write!(terminal.out, "{at} {stream:<6} ")?;
        }
        let bytes = match text(line, "text_base64") {
            Some(exact) => STANDARD.decode(exact).unwrap_or_default(),
            None => text(line, "text").unwrap_or_default().into_bytes(),
        };
        if terminal.is_terminal {
            write!(terminal.out, "{}", escape::log_text(&bytes))?;
        } else {
            terminal.out.write_all(&bytes)?;
        }
        let goes_on = line.get("complete") == Some(&Value::Bool(false));
        if goes_on && self.shape == Shape::Text {
            self.open = Some(stream);
        } else {
            terminal.out.write_all(b"\n")?;
            self.open = None;
        }
        Ok(seq)
    }

    /// What is printed next must not look like the rest of a line. Exact bytes are in the JSON.
    fn end_line(&mut self, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
        if self.open.take().is_some() {
            terminal.out.write_all(b"\n")?;
        }
        terminal.out.flush()?;
        Ok(())
    }
}
