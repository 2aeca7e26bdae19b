//! What goes over the wire: snake_case JSON, moments as RFC 3339 text, spans in milliseconds. Not the model's types:
//! those may change, these are a promise.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::openapi::{Id, Ran, ScfStatus, State};

/// The receipt for an accepted event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ReceiptView {
    /// The invocation's id.
    #[schema(value_type = Id)]
    pub request_id: String,
}

/// One invocation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InvocationView {
    /// The receipt.
    #[schema(value_type = Id)]
    pub request_id: String,
    /// The function it is for.
    pub function: String,
    /// The trigger it came through; null for a call through this API.
    pub trigger: Option<String>,
    /// `accepted`, `running`, `succeeded`, `failed`, `timed_out`, `terminated`, `lost`, `expired` or `cancelled`.
    #[schema(value_type = State)]
    pub state: &'static str,
    /// The same as Tencent SCF would call it: `RUNNING`, `FINISHED`, `ABORTED` or `FAILED`.
    #[schema(value_type = ScfStatus)]
    pub scf_status: &'static str,
    /// The status code that Tencent SCF would give: 202 until it ends, 200 for success, 433 after its timeout and so on.
    pub status_code: u16,
    /// Whether function code ran: `yes`, `no`, or `unknown` (while it runs, when it is lost, and when it was given up
    /// before the answer of an HTTP target).
    #[schema(value_type = Ran)]
    pub ran: &'static str,
    /// When it was safe on disk.
    #[schema(format = DateTime)]
    pub accepted_at: String,
    /// When its start was written.
    #[schema(format = DateTime)]
    pub started_at: Option<String>,
    /// When it ended.
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    /// How long it ran, in milliseconds; null where that is not known.
    pub duration_ms: Option<u64>,
    /// The most memory it used, in bytes; null where that is not known.
    pub peak_memory_bytes: Option<u64>,
    /// Bytes of memory that it could use; null where that was not bounded.
    pub memory_limit_bytes: Option<u64>,
    /// Whether it has ended and something of it is still alive; until that is gone it keeps its slot.
    pub reclaim_pending: bool,
    /// A word for why it ended so.
    pub reason: Option<String>,
    /// A sentence for people about it.
    pub detail: Option<String>,
    /// The exit code, where there was one.
    pub exit_code: Option<i32>,
    /// The signal that ended it, where one did.
    pub signal: Option<i32>,
    /// Length of the result; null in lists and where there is none.
    pub result_bytes: Option<u64>,
    /// Whether the result was cut.
    pub result_cut: bool,
    /// What happened.
    pub event: EventView,
}

/// An event's attributes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventView {
    /// CloudEvents `id`.
    pub id: String,
    /// CloudEvents `source`.
    pub source: String,
    /// CloudEvents `type`.
    pub r#type: String,
    /// CloudEvents `subject`.
    pub subject: Option<String>,
    /// CloudEvents `time`.
    #[schema(format = DateTime)]
    pub time: String,
    /// CloudEvents `datacontenttype`.
    pub content_type: Option<String>,
    /// Further attributes.
    pub extensions: BTreeMap<String, String>,
    /// Length of the data, which itself is not shown.
    pub data_bytes: u64,
}

/// A page of invocations, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct InvocationsView {
    /// The invocations.
    pub invocations: Vec<InvocationView>,
    /// RequestIds that belong here and are left out: their records were changed on the disk.
    pub damaged: Vec<String>,
    /// What to pass as `cursor` for the next page; null on the last one. Other pages, too, may have fewer invocations
    /// than `limit`, even none.
    pub next_cursor: Option<String>,
}

/// The body of a stop request; an empty body is the default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TerminateBody {
    /// Whether only to ask (SIGTERM) instead of killing: the function may go on to its own end.
    #[serde(default)]
    pub grace: bool,
}

/// What a stop request did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TerminateView {
    /// The invocation.
    #[schema(value_type = Id)]
    pub request_id: String,
    /// `cancelled`: it will never start. `stopping`: it was told to stop.
    pub outcome: &'static str,
}

/// One line of a log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LogLineView {
    /// Position in the log, from 1.
    pub seq: u64,
    /// When it was read.
    #[schema(format = DateTime)]
    pub at: String,
    /// `stdout`, `stderr` or `system`.
    pub stream: &'static str,
    /// The line without its end. Bytes that are not UTF-8 are escaped: `\xff`.
    pub text: String,
    /// The exact bytes, where `text` is not them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub text_base64: Option<String>,
    /// Whether the function ended the line; otherwise the next line of this stream may go on with it.
    pub complete: bool,
}

/// The last event of a followed log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct EndView {
    /// How the invocation ended.
    pub state: &'static str,
    /// As in [`InvocationView::status_code`].
    pub status_code: u16,
    /// A word for why.
    pub reason: Option<String>,
    /// A sentence for people about it.
    pub detail: Option<String>,
}

/// A function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FunctionView {
    /// Its name.
    pub name: String,
    /// `async` or `sync`.
    pub execution: &'static str,
    /// The kind of runtime, such as `process`.
    pub runtime: &'static str,
    /// The longest run.
    pub timeout_ms: u64,
    /// Time between the polite request to stop and the kill.
    pub grace_ms: u64,
    /// Runs at the same time, at most.
    pub concurrency: u32,
    /// Events accepted in any second, at most; null is as many as the hub takes.
    pub qps: Option<u32>,
    /// Invocations waiting for their start, at most.
    pub max_queued: u64,
    /// Longest wait for a start.
    pub max_event_age_ms: u64,
    /// Bytes of the result that are kept.
    pub max_result_bytes: u64,
    /// Bytes of log that are kept for one invocation; each line counts for 48 more than its text.
    pub max_log_bytes: u64,
    /// Invocations waiting now.
    pub queued: u64,
    /// Invocations running now.
    pub running: u64,
    /// Invocations that have ended and keep their slot, because something of them is still alive.
    pub reclaim_pending: u64,
    /// What of its bounds this machine cannot enforce; null if it enforces everything it asks for.
    pub not_enforced: Option<String>,
}

/// All functions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct FunctionsView {
    /// By name.
    pub functions: Vec<FunctionView>,
}

/// A trigger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TriggerView {
    /// Its name.
    pub name: String,
    /// Its kind, such as `kafka`.
    pub kind: String,
    /// The function it is for.
    pub function: String,
    /// `starting`, `running`, `troubled`, `backoff`, `paused` or `stopped`.
    pub state: &'static str,
    /// Since when.
    #[schema(format = DateTime)]
    pub since: String,
    /// What is wrong.
    pub error: Option<String>,
    /// How often its run ended too early since the hub was started.
    pub restarts: u64,
    /// When it is started again.
    #[schema(format = DateTime)]
    pub retry_at: Option<String>,
    /// Events accepted since the hub was started.
    pub accepted: u64,
    /// Offers refused since the hub was started.
    pub rejected: u64,
    /// What the kind tells of itself: numbers, truth values and texts.
    pub facts: BTreeMap<String, Value>,
}

/// All triggers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TriggersView {
    /// By name.
    pub triggers: Vec<TriggerView>,
}
