//! Model to wire, by hand: a change of the model that would change the API does not compile.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use tripline_dispatcher::FunctionStatus;
use tripline_model::{
    End, Ending, Event, FunctionName, Invocation, InvocationState, LogLine, Timestamp,
};
use tripline_trigger::{FactValue, TriggerStatus};

use crate::wire::{EndView, EventView, FunctionView, InvocationView, LogLineView, TriggerView};

/// One invocation; `reclaim_pending`: see [`crate::Control::reclaim_pending`].
pub(crate) fn invocation(invocation: &Invocation, reclaim_pending: bool) -> InvocationView {
    let ending = invocation.ending.as_ref();
    InvocationView {
        request_id: invocation.request_id.to_string(),
        function: invocation.function.to_string(),
        trigger: invocation.trigger.as_ref().map(ToString::to_string),
        state: invocation.state.as_str(),
        scf_status: scf_status(invocation.state),
        status_code: invocation.status_code(),
        ran: ran(invocation),
        accepted_at: invocation.accepted_at.to_string(),
        started_at: invocation.started_at.map(moment),
        ended_at: ending.map(|ending| moment(ending.at)),
        duration_ms: ending.and_then(|ending| ending.duration_ms),
        peak_memory_bytes: ending.and_then(|ending| ending.peak_memory_bytes),
        memory_limit_bytes: ending.and_then(|ending| ending.memory_limit_bytes),
        reclaim_pending,
        reason: ending.map(|ending| ending.reason.clone()),
        detail: ending.and_then(|ending| ending.detail.clone()),
        exit_code: ending.and_then(|ending| ending.exit_code),
        signal: ending.and_then(|ending| ending.signal),
        result_bytes: ending.and_then(|ending| Some(ending.result.as_ref()?.len() as u64)),
        result_cut: ending.is_some_and(|ending| ending.result_cut),
        event: event(&invocation.event, invocation.data_len),
    }
}

fn event(event: &Event, data_bytes: u64) -> EventView {
    EventView {
        id: event.id.clone(),
        source: event.source.clone(),
        r#type: event.kind.clone(),
        subject: event.subject.clone(),
        time: event.time.to_string(),
        content_type: event.content_type.clone(),
        extensions: event.extensions.clone(),
        data_bytes,
    }
}

/// The state as Tencent SCF names it.
fn scf_status(state: InvocationState) -> &'static str {
    match state {
        InvocationState::Accepted | InvocationState::Running => "RUNNING",
        InvocationState::Ended(End::Succeeded) => "FINISHED",
        InvocationState::Ended(End::Terminated | End::Cancelled) => "ABORTED",
        InvocationState::Ended(End::Failed | End::TimedOut | End::Lost | End::Expired) => "FAILED",
    }
}

fn ran(invocation: &Invocation) -> &'static str {
    match invocation.ran() {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

/// The last event of a followed log.
pub(crate) fn end(ending: &Ending) -> EndView {
    EndView {
        state: ending.end.as_str(),
        status_code: ending.status_code(),
        reason: Some(ending.reason.clone()),
        detail: ending.detail.clone(),
    }
}

/// One line of a log.
pub(crate) fn log_line(line: &LogLine) -> LogLineView {
    let (text, text_base64) = match std::str::from_utf8(&line.text) {
        Ok(text) => (text.to_owned(), None),
        Err(_) => (escaped(&line.text), Some(STANDARD.encode(&line.text))),
    };
    LogLineView {
        seq: line.seq,
        at: line.at.to_string(),
        stream: line.stream.as_str(),
        text,
        text_base64,
        complete: line.complete,
    }
}

/// Bytes as text, `\xff` for those that are not UTF-8.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len() + 16);
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            let _ = write!(text, "\\x{byte:02x}");
        }
    }
    text
}

/// A function and what it has to do.
pub(crate) fn function(
    status: &FunctionStatus,
    unmet: &HashMap<FunctionName, String>,
) -> FunctionView {
    let function = &status.function;
    FunctionView {
        name: function.name.to_string(),
        execution: function.execution.as_str(),
        runtime: function.runtime,
        timeout_ms: millis(function.timeout),
        grace_ms: millis(function.grace),
        concurrency: function.concurrency.get(),
        qps: function.qps.map(Into::into),
        max_queued: function.max_queued,
        max_event_age_ms: millis(function.max_event_age),
        max_result_bytes: function.max_result_bytes as u64,
        max_log_bytes: function.max_log_bytes,
        queued: status.queued,
        running: status.running,
        reclaim_pending: status.reclaim_pending,
        not_enforced: unmet.get(&function.name).cloned(),
    }
}

/// How a trigger is doing.
pub(crate) fn trigger(status: &TriggerStatus) -> TriggerView {
    let facts = status.facts.iter();
    TriggerView {
        name: status.name.to_string(),
        kind: status.kind.clone(),
        function: status.function.to_string(),
        state: status.state.as_str(),
        since: status.since.to_string(),
        error: status.error.clone(),
        restarts: status.restarts,
        retry_at: status.retry_at.map(moment),
        accepted: status.accepted,
        rejected: status.rejected,
        facts: facts
            .map(|(name, value)| ((*name).to_owned(), fact(value)))
            .collect(),
    }
}

fn fact(value: &FactValue) -> Value {
    match value {
        FactValue::Count(count) => (*count).into(),
        FactValue::Flag(flag) => (*flag).into(),
        FactValue::Text(text) => text.clone().into(),
        FactValue::Time(at) => at.to_string().into(),
    }
}

fn moment(at: Timestamp) -> String {
    at.to_string()
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
