//! `ps`, `show` and `terminate`.

use std::borrow::Cow;
use std::time::Duration;

use serde_json::{Value, json};

use super::args::{PsArgs, ShowArgs, TerminateArgs};
use super::client::{AdminClient, Document};
use super::failure::{Exit, Failure};
use super::table::{NOTHING, list, text, text_or_dash, write_fields, write_table};
use super::{Terminal, escape, times};

/// Most invocations asked for at once.
const PAGE: u64 = 500;
const PS_HEADER: [&str; 7] = [
    "REQUEST ID",
    "FUNCTION",
    "TRIGGER",
    "STATE",
    "ACCEPTED",
    "RAN FOR",
    "REASON",
];

/// Lists invocations, page by page.
pub(crate) async fn ps(
    args: PsArgs,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let filters = filters(&args, terminal)?;
    let wanted = if args.all { u64::MAX } else { args.limit };
    let mut left = wanted;
    let mut rows = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let mut query = filters.clone();
        query.push(("limit", left.min(PAGE).to_string()));
        query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
        let page = client.get(&["v1", "invocations"], &query).await?;
        let invocations = list(&page, "invocations");
        left = left.saturating_sub(invocations.len() as u64);
        for invocation in invocations {
            if args.json {
                writeln!(terminal.out, "{}", escape::json(invocation))?;
            } else {
                rows.push(ps_row(invocation, terminal));
            }
        }
        for id in list(&page, "damaged").iter().filter_map(Value::as_str) {
            let id = escape::one_line(id);
            let why = "its record was changed on the disk";
            writeln!(terminal.err, "{id} is left out: {why}")?;
        }
        cursor = text(&page, "next_cursor");
        // A page without invocations is not the last one: what is asked for may be far away.
        if cursor.is_none() || left == 0 {
            break;
        }
    }
    if !args.json {
        write_table(terminal.out, &PS_HEADER, rows)?;
    }
    if cursor.is_some() {
        // Whatever is made of the output, it is cut here: the reader must hear of it, in either form.
        terminal.out.flush()?;
        writeln!(
            terminal.err,
            "There are more: --limit N shows N, --all shows all"
        )?;
    }
    if left == wanted {
        name_unknown(&args, client, terminal).await?;
    }
    Ok(Exit::Done)
}

/// Says so where nothing was found because nothing has that name: most likely it is mistyped. It is no failure, for what
/// was configured once may have runs still.
async fn name_unknown(
    args: &PsArgs,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    let asked = [
        ("function", "functions", &args.function),
        ("trigger", "triggers", &args.trigger),
    ];
    for (kind, kinds, name) in asked {
        let Some(name) = name else {
            continue;
        };
        let answer = client.get(&["v1", kinds], &[]).await;
        let shown = escape::one_line(name);
        match answer.as_ref().map(|answer| list(answer, kinds)) {
            Ok(known) if known.iter().any(|one| one["name"] == **name) => {}
            Ok(_) => writeln!(terminal.err, "no {kind} `{shown}` is configured")?,
            // What was asked for is listed already.
            Err(error) => {
                let what = format!("whether a {kind} `{shown}` is configured");
                writeln!(terminal.err, "{what} is not known: {error}")?;
            }
        }
    }
    Ok(())
}

fn filters(args: &PsArgs, terminal: &Terminal<'_>) -> Result<Vec<(&'static str, String)>, Failure> {
    let since = match &args.since {
        None => None,
        Some(text) => Some(times::since(terminal.now, text).ok_or_else(|| {
            let words = "--since takes a span such as 15m, 2h or 7d, or a moment such as 2026-11-24T21:00:00Z, not";
            Failure::Usage(format!("{words} {text:?}"))
        })?),
    };
    let all = [
        ("function", args.function.clone()),
        ("trigger", args.trigger.clone()),
        ("state", args.state.clone()),
        ("since", since),
    ];
    let given = all
        .into_iter()
        .filter_map(|(name, value)| Some((name, value?)));
    Ok(given.collect())
}

fn ps_row(invocation: &Value, terminal: &Terminal<'_>) -> Vec<String> {
    let reason = match text_or_dash(invocation, "state").as_str() {
        "succeeded" => NOTHING.to_owned(),
        _ => text_or_dash(invocation, "reason"),
    };
    let accepted = text(invocation, "accepted_at");
    vec![
        text_or_dash(invocation, "request_id"),
        text_or_dash(invocation, "function"),
        text_or_dash(invocation, "trigger"),
        text_or_dash(invocation, "state"),
        accepted.map_or_else(|| NOTHING.to_owned(), |at| times::ago(terminal.now, &at)),
        ran_for(invocation, terminal).unwrap_or_else(|| NOTHING.to_owned()),
        reason,
    ]
}

/// Bytes as `29.73 MiB`.
fn mebibytes(bytes: String) -> Option<String> {
    let hundredths = bytes.parse::<u64>().ok()?.saturating_mul(100) >> 20;
    Some(format!("{}.{:02} MiB", hundredths / 100, hundredths % 100))
}

/// How long it ran, or has run until now; nothing where nobody knows when it ended.
fn ran_for(invocation: &Value, terminal: &Terminal<'_>) -> Option<String> {
    if let Some(ms) = invocation.get("duration_ms").and_then(Value::as_u64) {
        return Some(times::short(Duration::from_millis(ms)));
    }
    if text_or_dash(invocation, "state") != "running" {
        return None;
    }
    let started = text(invocation, "started_at")?;
    times::between(&started, &terminal.now.to_rfc3339())
}

/// Shows one invocation, or its result.
pub(crate) async fn show(
    args: ShowArgs,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let path = ["v1", "invocations", &args.request_id, "result"];
    if args.result {
        let result = client.get_document(&path).await?;
        write_document(&result, terminal)?;
        return Ok(Exit::Done);
    }
    let invocation = client.get(&path[..3], &[]).await?;
    if args.json {
        writeln!(terminal.out, "{}", escape::json(&invocation))?;
    } else {
        write_invocation(&invocation, terminal)?;
    }
    Ok(Exit::Done)
}

/// Writes bytes of a function, and says so if they are not all that it wrote. That is no failure: the function has
/// succeeded, and the hub kept what it was configured to keep.
pub(crate) fn write_document(
    document: &Document,
    terminal: &mut Terminal<'_>,
) -> Result<(), Failure> {
    write_bytes(&document.bytes, terminal)?;
    if document.is_cut {
        terminal.out.flush()?;
        let length = document.bytes.len();
        writeln!(
            terminal.err,
            "tripline: the result was cut at {length} bytes (`max_result` of the function): the rest was not kept"
        )?;
    }
    Ok(())
}

/// As they are to a file or pipe, escaped to a terminal.
fn write_bytes(bytes: &[u8], terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    if !terminal.is_terminal {
        terminal.out.write_all(bytes)?;
        return Ok(());
    }
    let shown = escape::document(bytes);
    terminal.out.write_all(shown.as_bytes())?;
    if !shown.is_empty() && !shown.ends_with('\n') {
        writeln!(terminal.out)?;
    }
    Ok(())
}

fn write_invocation(invocation: &Value, terminal: &mut Terminal<'_>) -> Result<(), Failure> {
    let field = |key: &str| text(invocation, key);
    let moment = |key: &str| {
        let at = text(invocation, key)?;
        Some(format!("{at} ({})", times::ago(terminal.now, &at)))
    };
    let event = invocation.get("event").unwrap_or(&Value::Null);
    let attribute = |key: &str| text(event, key);
    let result = field("result_bytes").map(|bytes| {
        let cut = invocation.get("result_cut") == Some(&Value::Bool(true));
        format!(
            "{bytes} bytes{} (--result prints them)",
            if cut { ", cut" } else { "" }
        )
    });
    let pending = invocation.get("reclaim_pending") == Some(&Value::Bool(true));
    let fields = [
        ("RequestId", field("request_id")),
        ("Function", field("function")),
        ("Trigger", Some(text_or_dash(invocation, "trigger"))),
        ("State", field("state")),
        ("SCF status", field("scf_status")),
        ("SCF code", field("status_code")),
        ("Code ran", field("ran")),
        ("Accepted", moment("accepted_at")),
        ("Started", moment("started_at")),
        ("Ended", moment("ended_at")),
        ("Ran for", ran_for(invocation, terminal)),
        (
            "Peak memory",
            field("peak_memory_bytes").and_then(mebibytes),
        ),
        (
            "Memory limit",
            field("memory_limit_bytes").and_then(mebibytes),
        ),
        (
            "Reclaim",
            pending
                .then(|| "pending: something of it is still alive and keeps its slot".to_owned()),
        ),
        ("Reason", field("reason")),
        ("Detail", field("detail")),
        ("Exit code", field("exit_code")),
        ("Signal", field("signal")),
        ("Result", result),
        ("Event type", attribute("type")),
        ("Event source", attribute("source")),
        ("Event subject", attribute("subject")),
        ("Event id", attribute("id")),
        ("Event time", attribute("time")),
        ("Content type", attribute("content_type")),
        (
            "Event data",
            attribute("data_bytes").map(|bytes| format!("{bytes} bytes")),
        ),
    ];
    let fields = fields.map(|(name, value)| (Cow::Borrowed(name), value));
    let extensions = event.get("extensions").and_then(Value::as_object);
    let extensions = extensions.into_iter().flatten().map(|(name, value)| {
        let value = value.as_str().unwrap_or_default().to_owned();
        (Cow::Owned(format!("Event {name}")), Some(value))
    });
    let fields: Vec<_> = fields.into_iter().chain(extensions).collect();
    write_fields(terminal.out, &fields)
}

/// Stops an invocation.
pub(crate) async fn terminate(
    args: TerminateArgs,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let path = ["v1", "invocations", &args.request_id, "terminate"];
    let answer = client.post(&path, &json!({ "grace": args.grace })).await?;
    let outcome = text_or_dash(&answer, "outcome");
    writeln!(terminal.out, "{}", escape::one_line(&outcome))?;
    Ok(Exit::Done)
}
