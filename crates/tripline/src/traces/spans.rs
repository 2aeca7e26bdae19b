//! Records of the journal as spans of OTLP.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};
use tripline_model::{End, Event, Invocation, InvocationTrace, RequestId, Span as Part, Timestamp};

/// The span of an acceptance.
pub(super) fn accepted(trace: &InvocationTrace, began: Timestamp, ended: Timestamp) -> Span {
    span(trace, Part::Accept, "accept", (began, ended))
}

/// The spans of an invocation that has ended.
pub(super) fn ended(trace: &InvocationTrace, invocation: &Invocation) -> Vec<Span> {
    let Some(ending) = &invocation.ending else {
        return Vec::new();
    };
    let function = &invocation.function;
    let times = (invocation.accepted_at, ending.at);
    let mut whole = span(
        trace,
        Part::Invocation,
        &format!("invoke {function}"),
        times,
    );
    whole.parent_span_id = trace.parent.map(Vec::from).unwrap_or_default();
    whole.kind = SpanKind::Consumer.into();
    whole.attributes = attributes(invocation);
    let is_well = ending.end == End::Succeeded;
    let status = Status {
        code: if is_well {
            StatusCode::Ok
        } else {
            StatusCode::Error
        }
        .into(),
        message: if is_well {
            String::new()
        } else {
            ending.reason.clone()
        },
    };
    whole.status = Some(status.clone());
    let waited_until = invocation.started_at.unwrap_or(ending.at);
    let wait = span(
        trace,
        Part::Wait,
        "wait",
        (invocation.accepted_at, waited_until),
    );
    let run = invocation.started_at.map(|started| {
        let mut run = span(
            trace,
            Part::Run,
            &format!("run {function}"),
            (started, ending.at),
        );
        run.status = Some(status);
        run
    });
    [whole, wait].into_iter().chain(run).collect()
}

/// A request of OTLP with these spans.
pub(super) fn request(service: &str, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let resource = Resource {
        attributes: vec![
            text("service.name", "tripline"),
            text("service.version", env!("CARGO_PKG_VERSION")),
            text("service.instance.id", service),
        ],
        ..Resource::default()
    };
    let scope = InstrumentationScope {
        name: "tripline".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(resource),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans,
                ..ScopeSpans::default()
            }],
            ..ResourceSpans::default()
        }],
    }
}

fn span(trace: &InvocationTrace, part: Part, name: &str, times: (Timestamp, Timestamp)) -> Span {
    Span {
        trace_id: trace.trace.to_vec(),
        span_id: trace.span(part).to_vec(),
        parent_span_id: trace.span(Part::Invocation).to_vec(),
        name: name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: nanos(times.0),
        end_time_unix_nano: nanos(times.1.max(times.0)),
        ..Span::default()
    }
}

fn attributes(invocation: &Invocation) -> Vec<KeyValue> {
    let Invocation {
        request_id,
        function,
        trigger,
        state,
        event,
        ..
    } = invocation;
    let mut all = identity(*request_id, event);
    all.push(text("faas.name", function.as_str()));
    all.push(text("tripline.state", state.as_str()));
    all.extend(
        trigger
            .as_ref()
            .map(|name| text("tripline.trigger", name.as_str())),
    );
    if let Some(ending) = &invocation.ending {
        all.push(text("tripline.reason", &ending.reason));
    }
    all
}

fn identity(id: RequestId, event: &Event) -> Vec<KeyValue> {
    vec![
        text("faas.invocation_id", &id.to_string()),
        text("cloudevents.event_id", &event.id),
        text("cloudevents.event_source", &event.source),
        text("cloudevents.event_type", &event.kind),
    ]
}

fn text(key: &str, value: &str) -> KeyValue {
    KeyValue {
        key: key.to_owned(),
        value: Some(AnyValue {
            value: Some(Value::StringValue(value.to_owned())),
        }),
        ..KeyValue::default()
    }
}

fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_millis())
        .unwrap_or(0)
        .saturating_mul(1_000_000)
}
