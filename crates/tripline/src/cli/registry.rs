//! `functions` and `triggers`.

use std::time::Duration;

use serde_json::{Value, json};

use super::args::{ListArgs, TriggerAction, TriggersArgs};
use super::client::AdminClient;
use super::failure::{Exit, Failure};
use super::table::{NOTHING, list, text, text_or_dash, write_table};
use super::{Terminal, escape, times};

/// Lists functions.
pub(crate) async fn functions(
    args: ListArgs,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let answer = client.get(&["v1", "functions"], &[]).await?;
    let functions = list(&answer, "functions");
    if args.json {
        return write_json(functions, terminal);
    }
    let row = |function: &Value| {
        let cell = |key| text_or_dash(function, key);
        let timeout = function.get("timeout_ms").and_then(Value::as_u64);
        let timeout = timeout.map(|ms| times::short(Duration::from_millis(ms)));
        vec![
            cell("name"),
            cell("execution"),
            cell("runtime"),
            timeout.unwrap_or_else(|| NOTHING.to_owned()),
            cell("concurrency"),
            cell("queued"),
            cell("running"),
            cell("reclaim_pending"),
        ]
    };
    let header = [
        "FUNCTION",
        "EXECUTION",
        "RUNTIME",
        "TIMEOUT",
        "CONCURRENCY",
        "QUEUED",
        "RUNNING",
        "RECLAIM PENDING",
    ];
    write_table(terminal.out, &header, functions.iter().map(row).collect())?;
    for function in functions {
        if let Some(unmet) = text(function, "not_enforced") {
            let (name, unmet) = (text_or_dash(function, "name"), escape::one_line(&unmet));
            writeln!(terminal.out, "{}: {unmet}", escape::one_line(&name))?;
        }
    }
    Ok(Exit::Done)
}

/// Lists triggers, or pauses or resumes one.
pub(crate) async fn triggers(
    args: TriggersArgs,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let (name, verb) = match &args.action {
        None => return list_triggers(&args, client, terminal).await,
        Some(TriggerAction::Pause { name }) => (name, "pause"),
        Some(TriggerAction::Resume { name }) => (name, "resume"),
    };
    let trigger = client
        .post(&["v1", "triggers", name, verb], &json!({}))
        .await?;
    if args.json {
        writeln!(terminal.out, "{}", escape::json(&trigger))?;
    } else {
        let (name, state) = (
            text_or_dash(&trigger, "name"),
            text_or_dash(&trigger, "state"),
        );
        let (name, state) = (escape::one_line(&name), escape::one_line(&state));
        writeln!(terminal.out, "{name} is {state}")?;
    }
    Ok(Exit::Done)
}

async fn list_triggers(
    args: &TriggersArgs,
    client: &AdminClient<'_>,
    terminal: &mut Terminal<'_>,
) -> Result<Exit, Failure> {
    let answer = client.get(&["v1", "triggers"], &[]).await?;
    let triggers = list(&answer, "triggers");
    if args.json {
        return write_json(triggers, terminal);
    }
    let row = |trigger: &Value| {
        let cell = |key| text_or_dash(trigger, key);
        let since = text(trigger, "since");
        vec![
            cell("name"),
            cell("kind"),
            cell("function"),
            cell("state"),
            since.map_or_else(|| NOTHING.to_owned(), |at| times::ago(terminal.now, &at)),
            cell("accepted"),
            cell("rejected"),
            text(trigger, "error").unwrap_or_else(|| facts(trigger)),
        ]
    };
    let rows = triggers.iter().map(row).collect();
    let header = [
        "TRIGGER", "KIND", "FUNCTION", "STATE", "SINCE", "ACCEPTED", "REJECTED", "DETAIL",
    ];
    write_table(terminal.out, &header, rows)?;
    Ok(Exit::Done)
}

/// What the trigger says of itself: `lag 0, next_fire 2026-11-24T22:00:00.000Z`.
fn facts(trigger: &Value) -> String {
    let facts = trigger.get("facts").unwrap_or(&Value::Null);
    let names = facts.as_object().into_iter().flat_map(|facts| facts.keys());
    let words: Vec<String> = names
        .map(|name| format!("{name} {}", text_or_dash(facts, name)))
        .collect();
    if words.is_empty() {
        NOTHING.to_owned()
    } else {
        words.join(", ")
    }
}

fn write_json(values: &[Value], terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    for value in values {
        writeln!(terminal.out, "{}", escape::json(value))?;
    }
    Ok(Exit::Done)
}
