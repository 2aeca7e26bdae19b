//! `/openapi.json`: the API's description for machines, made out of the handlers and the wire types themselves.
//!
//! `openapi.json` beside this crate's manifest is the same document; a test compares the two.

use std::sync::OnceLock;

use axum::response::{IntoResponse, Response};
use http::header;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, IntoResponses, Modify, OpenApi, ToSchema};

use crate::wire::EndView;
use crate::{functions, health, invocations, invoke, logs, triggers};

/// The content type of every refusal.
pub(crate) const PROBLEM: &str = "application/problem+json";

#[derive(OpenApi)]
#[openapi(
    version = "3.1.0",
    info(
        title = "Tripline admin API",
        description = "Call functions, list, follow and stop invocations, see and pause triggers.",
        license(name = "Apache-2.0", identifier = "Apache-2.0"),
        contact()
    ),
    paths(
        health::healthz,
        health::readyz,
        health::metrics,
        show,
        functions::list,
        functions::show,
        invoke::invoke,
        invocations::list,
        invocations::show,
        invocations::result,
        invocations::terminate,
        logs::logs,
        triggers::list,
        triggers::show,
        triggers::pause,
        triggers::resume,
    ),
    components(schemas(EndView)),
    security(("token" = [])),
    modifiers(&Rest)
)]
struct Api;

/// Says what the handlers' attributes cannot: the bearer token, and that every body may be left out.
struct Rest;

impl Modify for Rest {
    fn modify(&self, api: &mut utoipa::openapi::OpenApi) {
        let scheme = HttpBuilder::new()
            .scheme(HttpAuthScheme::Bearer)
            .description(Some("The file `admin.token` of the data directory"))
            .build();
        let components = api.components.get_or_insert_default();
        components.add_security_scheme("token", SecurityScheme::Http(scheme));
        let paths = api.paths.paths.values_mut();
        for body in paths.filter_map(|path| path.post.as_mut()?.request_body.as_mut()) {
            if let RefOr::T(body) = body {
                body.required = Some(Required::False);
            }
        }
    }
}

/// The description as indented JSON, with a line end.
pub fn openapi() -> &'static str {
    static TEXT: OnceLock<String> = OnceLock::new();
    TEXT.get_or_init(|| {
        let text = Api::openapi().to_pretty_json();
        text.expect("a description is made of text and numbers") + "\n"
    })
}

/// `GET /openapi.json`.
#[utoipa::path(
    get,
    path = "/openapi.json",
operation_id = "openapi",
    tag = "state",
    summary = "This description",
    responses(Usual, (status = 200, body = serde_json::Value, description = "OpenAPI 3.1"))
)]
pub(crate) async fn show() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], openapi()).into_response()
}

/// An error, as RFC 9457 has it.
#[derive(ToSchema)]
#[expect(
    dead_code,
    reason = "`Problem` of the listener writes it; this is its shape"
)]
pub(crate) struct ProblemView {
    /// The kind of error, `urn:tripline:KIND`; stays the same over releases.
    r#type: String,
    /// The kind in a few words.
    title: String,
    /// The HTTP status.
    status: u16,
    /// What is wrong this time.
    detail: Option<String>,
    /// Where an event was offered: `no` was not accepted and never runs; `unknown` may run.
    accepted: Option<Acceptance>,
    /// The invocation it is about.
    request_id: Option<Id>,
}

/// How the hub or its process is.
#[derive(ToSchema)]
#[expect(dead_code, reason = "written as JSON by hand; this is its shape")]
pub(crate) struct StatusView {
    /// `ok` or `ready`.
    status: String,
}

/// One server-sent event of a followed log.
#[derive(ToSchema)]
#[expect(dead_code, reason = "written by hand; this is its shape")]
pub(crate) struct LogEvent {
    /// The number of the line, for `last-event-id`; not with `end`.
    id: Option<String>,
    /// `end` for the last event; lines have none.
    event: Option<String>,
    /// JSON: a `LogLineView`, or an `EndView` with `end`.
    data: String,
}

/// Bytes.
#[derive(ToSchema)]
#[schema(value_type = String, format = Binary)]
#[expect(dead_code, reason = "bytes are sent as they are; this is their shape")]
pub(crate) struct Blob(Vec<u8>);

/// A RequestId: a UUID version 7 in its usual form.
#[derive(ToSchema)]
#[schema(pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")]
#[expect(dead_code, reason = "ids are written as text; this is their shape")]
pub(crate) struct Id(String);

/// Declares words that go over the wire as plain text.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident: $($word:ident)*) => {
        $(#[$doc])*
        #[derive(ToSchema)]
        #[schema(rename_all = "snake_case")]
        #[expect(dead_code, reason = "the words are text on the wire; this is the list of them")]
        pub(crate) enum $name { $($word),* }
    };
}

words! {
    /// The state of an invocation.
    State: Accepted Running Succeeded Failed TimedOut Terminated Lost Expired Cancelled
}
words! {
    /// Whether function code ran.
    Ran: Yes No Unknown
}
words! {
    /// Whether an event that was refused may run.
    Acceptance: No Unknown
}

/// The state as Tencent SCF names it.
#[derive(ToSchema)]
#[schema(rename_all = "UPPERCASE")]
#[expect(
    dead_code,
    reason = "the words are text on the wire; this is the list of them"
)]
pub(crate) enum ScfStatus {
    Running,
    Finished,
    Aborted,
    Failed,
}

/// A function or trigger in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(
    dead_code,
    reason = "read by hand, so that a bad one is a problem document"
)]
pub(crate) struct Named {
    /// Its name
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    name: String,
}

/// An invocation in the path.
#[derive(IntoParams)]
#[into_params(parameter_in = Path)]
#[expect(
    dead_code,
    reason = "read by hand, so that a bad one is a problem document"
)]
pub(crate) struct Identified {
    /// The RequestId
    #[param(inline)]
    id: Id,
}

/// Which invocations to list.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "read by hand, so that a bad one is a problem document"
)]
pub(crate) struct Filters {
    /// Only this function's
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    function: Option<String>,
    /// Only this trigger's
    #[param(pattern = "^[a-z0-9][a-z0-9_-]{0,62}$")]
    trigger: Option<String>,
    /// Only in this state
    #[param(inline)]
    state: Option<State>,
    /// Only accepted at or after this moment
    #[param(format = DateTime)]
    since: Option<String>,
    /// Only accepted before this moment
    #[param(format = DateTime)]
    until: Option<String>,
    /// On a page, at most
    #[param(minimum = 1, maximum = 1000, default = 50)]
    limit: Option<u64>,
    /// The `next_cursor` of another page
    #[param(inline)]
    cursor: Option<Id>,
}

/// How to read a log.
#[derive(IntoParams)]
#[into_params(parameter_in = Query)]
#[expect(
    dead_code,
    reason = "read by hand, so that a bad one is a problem document"
)]
pub(crate) struct Reading {
    /// `text`, `json` (an array) or `sse` (server-sent events). Default: as `Accept` says
    #[param(pattern = "^(text|json|sse)$")]
    format: Option<String>,
    /// Begin behind this line
    #[param(minimum = 0)]
    after: Option<u64>,
    /// Lines, at most
    #[param(minimum = 1, maximum = 1_000_000)]
    limit: Option<u64>,
    /// Go on until the invocation has ended
    follow: Option<bool>,
}

/// What a call may say besides its event.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(
    dead_code,
    reason = "read by hand, so that a bad one is a problem document"
)]
pub(crate) struct Calling {
    /// The same key, content type and body within 24 h give the same RequestId
    #[param(
        rename = "idempotency-key",
        min_length = 1,
        max_length = 255,
        pattern = r"^[!#-~]+$"
    )]
    idempotency_key: Option<String>,
}

/// Declares groups of refusals, each a problem document.
macro_rules! refusals {
    ($(#[$doc:meta])* $name:ident: $($variant:ident $status:literal $what:literal),*) => {
        $(#[$doc])*
        #[derive(IntoResponses)]
        #[expect(dead_code, reason = "handlers answer with a `Problem`; this says with which status")]
        pub(crate) enum $name {
            $(#[response(status = $status, description = $what, content_type = "application/problem+json")]
            $variant(ProblemView)),*
        }
    };
}

refusals! {
    /// The host was not ours, or the caller is a web page.
    Misdirected:
    Site 403 "A browser sent it for a web page of another site",
    Host 421 "The hub is not known by that host name"
}
refusals! {
    /// Every route may answer with these.
    Usual:
    Token 401 "The token is missing or wrong",
    Site 403 "A browser sent it for a web page of another site",
    Blocked 429 "Too many wrong tokens came from this address; see `retry-after`",
    Host 421 "The hub is not known by that host name"
}
refusals! {
    /// Something in the request cannot be understood.
    Unclear: Bad 400 "The request cannot be understood"
}
refusals! {
    /// What the path names is not there.
    Missing: Unknown 404 "There is no such thing"
}
refusals! {
    /// The body is too large, or too slow.
    TooLarge:
    Large 413 "The body is too large",
    Slow 408 "The body took too long"
}
refusals! {
    /// There is such a thing, and it cannot be trusted.
    Damaged: Changed 500 "The disk changed the record of the invocation (`damaged`)"
}
refusals! {
    /// The store cannot be used.
    Unavailable: Store 503 "The journal or the logs cannot be used now, or other large answers take all the memory there is for them (`answers_full`)"
}
refusals! {
    /// A call was refused, or a sync function did not succeed.
    Refused:
    Encoded 415 "The body has a `content-encoding`",
    Reused 422 "The idempotency key was used for another request",
    Limit 429 "Over the limit of events a second, or too many wrong tokens came from this address; see `retry-after`",
    Failed 502 "A sync function failed, was stopped or lost",
    Now 503 "The hub takes no events now; or the run of a sync function was never started, or may go on while the hub stops (`not_waited_for`), or succeeded while there was no room for its result (`answers_full`: ask for `/v1/invocations/{id}/result`)",
    Late 504 "A sync function took too long, or was not started within its timeout"
}
