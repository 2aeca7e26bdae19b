//! `invoke`: calls a function.

use std::fs;
use std::io::Read as _;

use serde_json::Value;

use super::args::InvokeArgs;
use super::client::AdminClient;
use super::failure::{Exit, Failure};
use super::logs::{Shape, follow_to_end, print_aside};
use super::table::text;
use super::{Terminal, escape, invocations};

/// Largest event that is read into memory; the hub's own limit is below.
const MAX_DATA_BYTES: u64 = 64 * 1024 * 1024;

/// Calls a function, prints the RequestId or the result, and follows the log if asked to.
pub(crate) async fn invoke(
    args: InvokeArgs,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let data = read_data(&args.data, terminal)?;
    let given = [
        ("content-type", &args.content_type),
        ("idempotency-key", &args.key),
    ];
    let mut headers = Vec::new();
    for (name, value) in given {
        let Some(value) = value.as_deref() else {
            continue;
        };
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            let words = format!("{name} may hold printable ASCII only, not {value:?}");
            return Err(Failure::Usage(words));
        }
        headers.push((name, value));
    }
    let answer = match client.invoke(&args.function, &headers, data).await {
        Err(Failure::OfRun { words, request_id }) if args.follow => {
            // A sync function that did not end well.
            print_aside(&request_id, client, terminal).await;
            return Err(Failure::OfRun { words, request_id });
        }
        answer => answer.map_err(|lost| lost.of_call(&args.function, args.key.as_deref()))?,
    };
    if !answer.is_receipt {
        // A sync function: the answer is its result, and it has ended already.
        if args.follow {
            let id = escape::one_line(&answer.request_id);
            writeln!(terminal.err, "RequestId: {id}")?;
        }
        invocations::write_document(&answer.body, terminal)?;
        if args.follow {
            terminal.out.flush()?;
            print_aside(&answer.request_id, client, terminal).await;
        }
        return Ok(Exit::Done);
    }
    let receipt: Value =
        serde_json::from_slice(&answer.body.bytes).map_err(|_| client.not_a_hub())?;
    let id = text(&receipt, "request_id").ok_or_else(|| client.not_a_hub())?;
    if !args.follow {
        let written = writeln!(terminal.out, "{}", escape::one_line(&id));
        if let Err(error) = written.and_then(|()| terminal.out.flush()) {
            // The event is accepted, and this is all that leads to it.
            writeln!(terminal.err, "RequestId: {}", escape::one_line(&id))?;
            return Err(error.into());
        }
        return Ok(Exit::Done);
    }
    // The log goes to standard output alone, so that it can be piped.
    writeln!(terminal.err, "RequestId: {}", escape::one_line(&id))?;
    let end = follow_to_end(&id, Shape::Text, client, terminal).await;
    end.map_err(|lost| lost.of_accepted(&id))
}

fn read_data(data: &str, terminal: &mut Terminal<'_>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let unreadable = |what: &str, error: std::io::Error| {
        Failure::Usage(format!("--data: cannot read {what}: {error}"))
    };
    if data == "-" {
        let input = terminal
            .input
            .take(MAX_DATA_BYTES + 1)
            .read_to_end(&mut bytes);
        input.map_err(|error| unreadable("standard input", error))?;
    } else if let Some(path) = data.strip_prefix('@') {
        let file = fs::File::open(path).map_err(|error| unreadable(path, error))?;
        let read = file.take(MAX_DATA_BYTES + 1).read_to_end(&mut bytes);
        read.map_err(|error| unreadable(path, error))?;
    } else {
        bytes.extend_from_slice(data.as_bytes());
    }
    if bytes.len() as u64 > MAX_DATA_BYTES {
        return Err(Failure::Usage(format!(
            "--data: more than {MAX_DATA_BYTES} bytes"
        )));
    }
    Ok(bytes)
}
