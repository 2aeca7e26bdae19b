//! One trace from the sender over the hub to the function, through HTTP, CloudEvents and Kafka, and over a `kill -9`
//! of the hub. A collector that is down delays nobody.

use std::time::Duration;

use axum::Router;
use axum::http::HeaderMap;
use axum::routing::post;
use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tripline_tests::{Collector, Hub, Traced, eventually, kafka};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const SPAN: &str = "b7ad6b7169203331";

/// Writes the trace context it was given, and waits for the file `flags/go`.
const CONFIG: &str = r#"
[functions.tell]
command = ["sh", "-c", "echo \"trace:$TRACEPARENT:$TRACESTATE\"; until [ -s flags/go ]; do sleep 0.05; done; exit \"$(cat flags/go)\""]
[triggers.door]
kind = "http"
function = "tell"
route = "POST /door"
auth = "none"
"#;

fn traces(collector: &Collector) -> String {
    let endpoint = &collector.endpoint;
    format!(
        "[traces]\nendpoint = \"{endpoint}\"\nheaders = {{ authorization = {{ env = \"OTLP_KEY\" }} }}\n"
    )
}

fn sender(flags: &str) -> String {
    format!("00-{TRACE}-{SPAN}-{flags}")
}

async fn post_with(hub: &Hub, headers: &[(&str, &str)], body: &str) -> String {
    let mut request = hub
        .client()
        .post(hub.gateway("/door"))
        .body(body.to_owned());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await.unwrap();
    assert_eq!(answer.status().as_u16(), 202);
    answer.headers()["tripline-request-id"]
        .to_str()
        .unwrap()
        .to_owned()
}

/// Lets functions end. A folder of its own, because functions do not see what is made later beside the data directory.
fn go(hub: &Hub, code: &str) {
    hub.write("flags/go", code);
}

/// A hub with this configuration and a folder for flags, not started yet.
fn prepare(config: &str) -> Hub {
    let hub = Hub::prepare(config);
    std::fs::create_dir(hub.path("flags")).unwrap();
    hub
}

/// The trace context that the function was given, as it wrote it.
async fn trace_context(hub: &Hub, id: &str) -> String {
    hub.line(id, |line| line.starts_with("trace:")).await
}

#[track_caller]
fn named<'a>(spans: &'a [Traced], name: &str) -> &'a Traced {
    let found = spans.iter().find(|span| span.name == name);
    found.unwrap_or_else(|| panic!("no {name} in {spans:#?}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_leads_from_the_sender_to_the_function() {
    let collector = Collector::start().await;
    let mut hub = prepare(&format!("{CONFIG}{}", traces(&collector)));
    go(&hub, "3");
    hub.launch_with(&[("OTLP_KEY", "Basic c2VjcmV0")]).await;
    let headers = [("traceparent", &*sender("01")), ("tracestate", "a=b")];
    let id = post_with(&hub, &headers, "").await;
    let spans = collector.of(&id, 4).await;
    assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");
    let [whole, accept, wait, run] =
        ["invoke tell", "accept", "wait", "run tell"].map(|name| named(&spans, name));
    assert_eq!(whole.parent, SPAN);
    assert!(
        whole.times.0 <= run.times.0 && run.times.1 == whole.times.1,
        "{spans:#?}"
    );
    assert_eq!((wait.times.0, wait.times.1), (whole.times.0, run.times.0));
    assert!(accept.times.0 <= accept.times.1);
    assert_eq!((whole.status, run.status), (2, 2), "it failed");
    assert_eq!(whole.attribute("tripline.state"), Some("failed"));
    assert_eq!(whole.attribute("tripline.trigger"), Some("door"));
    assert_eq!(
        trace_context(&hub, &id).await,
        format!("trace:00-{TRACE}-{}-01:a=b", run.id)
    );
    for headers in collector.headers() {
        assert_eq!(headers["authorization"], "Basic c2VjcmV0");
        assert_eq!(headers["content-type"], "application/x-protobuf");
    }

    // What its sender does not record is not recorded here, and the function knows.
    let count = collector.spans().len();
    let id = post_with(&hub, &[("traceparent", &sender("00"))], "").await;
    hub.ended(&id).await;
    assert!(
        trace_context(&hub, &id)
            .await
            .starts_with(&format!("trace:00-{TRACE}-"))
    );
    assert!(trace_context(&hub, &id).await.ends_with("-00:"));
    let next = post_with(&hub, &[], "").await;
    collector.of(&next, 4).await;
    assert_eq!(collector.spans().len(), count + 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_on_in_the_next_life_of_the_hub() {
    let collector = Collector::start().await;
    let mut hub = prepare(&format!("{CONFIG}{}", traces(&collector)));
    hub.launch_with(&[("OTLP_KEY", "k")]).await;
    let id = post_with(&hub, &[], "").await;
    let given = trace_context(&hub, &id).await;
    hub.kill().await;
    hub.launch_with(&[("OTLP_KEY", "k")]).await;
    go(&hub, "0");
    let spans = collector.of(&id, 3).await;
    let (whole, run) = (named(&spans, "invoke tell"), named(&spans, "run tell"));
    assert_eq!((&*whole.trace, &*whole.parent), (&*id.replace('-', ""), ""));
    assert_eq!(given, format!("trace:00-{}-{}-01:", whole.trace, run.id));
    assert_eq!(
        (whole.status, whole.attribute("tripline.state")),
        (1, Some("succeeded"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_spans_are_sent_when_the_hub_stops_and_a_dead_collector_holds_up_nobody() {
    let collector = Collector::start().await;
    let mut hub = prepare(&format!("{CONFIG}{}", traces(&collector)));
    go(&hub, "0");
    hub.launch_with(&[("OTLP_KEY", "k")]).await;
    let id = post_with(&hub, &[], "").await;
    hub.ended(&id).await;
    hub.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(hub.exited().await.success());
    let ours = |span: &&Traced| span.trace == id.replace('-', "");
    assert_eq!(collector.spans().iter().filter(ours).count(), 4);

    drop(collector);
    hub.launch_with(&[("OTLP_KEY", "k")]).await;
    let id = post_with(&hub, &[], "").await;
    assert_eq!(hub.ended(&id).await["state"], "succeeded");
    eventually("dropped spans are counted", async || {
        let figures = hub.metrics().await;
        figures
            .contains("\ntripline_spans_dropped_total 4")
            .then_some(())
    })
    .await;
    let log = hub.lines("hub.log").into_iter();
    let complaints: Vec<_> = log
        .filter(|line| line.contains("does not take traces"))
        .collect();
    assert_eq!(complaints.len(), 1, "{complaints:?}");
    assert!(
        complaints[0].contains("Connection refused"),
        "{complaints:?}"
    );
    hub.signal(nix::sys::signal::Signal::SIGTERM);
    assert!(hub.exited().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn without_traces_the_function_is_told_what_the_sender_said() {
    let mut hub = prepare(CONFIG);
    hub.launch().await;
    go(&hub, "0");
    let id = post_with(&hub, &[("traceparent", &sender("01"))], "").await;
    assert_eq!(
        trace_context(&hub, &id).await,
        format!("trace:{}:", sender("01"))
    );
    let id = post_with(&hub, &[("traceparent", "nonsense")], "").await;
    assert_eq!(trace_context(&hub, &id).await, "trace::");
    let call = hub
        .call("/v1/functions/tell/invocations")
        .header("traceparent", sender("00"));
    let answer = call.send().await.unwrap();
    let id = answer.headers()["tripline-request-id"]
        .to_str()
        .unwrap()
        .to_owned();
    assert_eq!(
        trace_context(&hub, &id).await,
        format!("trace:{}:", sender("00"))
    );
    assert!(!hub.metrics().await.contains("tripline_spans"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cloudevents_extension_goes_before_the_header_and_reaches_http_functions() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (seen, mut requests) = mpsc::channel::<HeaderMap>(4);
    let take = async move |headers: HeaderMap| seen.send(headers).await.unwrap();
    let mut server = JoinSet::new();
    let app = Router::new().route("/", post(take));
    server.spawn(async move { axum::serve(listener, app).await.unwrap() });

    let collector = Collector::start().await;
    let config = format!(
        "[functions.post]\nruntime = \"http\"\nurl = \"http://{address}/\"\nallow_private = true\n\
         [triggers.door]\nkind = \"http\"\nfunction = \"post\"\nroute = \"POST /door\"\nauth = \"none\"\n{}",
        traces(&collector)
    );
    let mut hub = prepare(&config);
    hub.launch_with(&[("OTLP_KEY", "k")]).await;
    let event = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/s","type":"t","traceparent":"{}"}}"#,
        sender("01")
    );
    let other = sender("01").replace("0af7", "ffff");
    let headers = [
        ("content-type", "application/cloudevents+json"),
        ("traceparent", &*other),
    ];
    let id = post_with(&hub, &headers, &event).await;
    let spans = collector.of(&id, 4).await;
    let run = named(&spans, "run post");
    assert_eq!(run.trace, TRACE);
    let request = requests.recv().await.unwrap();
    assert_eq!(request["traceparent"], format!("00-{TRACE}-{}-01", run.id));
    assert_eq!(
        request["ce-traceparent"],
        sender("01"),
        "the event stays as it came"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kafka_header_carries_the_trace() {
    let Some(bootstrap) = kafka("the trace of a record") else {
        return;
    };
    let collector = Collector::start().await;
    let topic = format!("traces-{}", std::process::id());
    crate::kafka::topic(&bootstrap, &topic, 1, 1).await;
    let trigger = format!(
        "[triggers.records]\nkind = \"kafka\"\nfunction = \"tell\"\n\"bootstrap.servers\" = \"{bootstrap}\"\n\
         \"group.id\" = \"{topic}\"\ntopics = [\"{topic}\"]\n\"auto.offset.reset\" = \"earliest\"\n"
    );
    let mut hub = prepare(&format!("{CONFIG}{trigger}{}", traces(&collector)));
    go(&hub, "0");
    hub.launch_with(&[("OTLP_KEY", "k")]).await;
    let producer: FutureProducer = ClientConfig::new()
        .set("bootstrap.servers", &bootstrap)
        .create()
        .unwrap();
    let parent = sender("01");
    let header = Header {
        key: "traceparent",
        value: Some(parent.as_bytes()),
    };
    let record = FutureRecord::<(), str>::to(&topic).payload("x");
    let record = record.headers(OwnedHeaders::new().insert(header));
    producer
        .send(record, Duration::from_secs(60))
        .await
        .map_err(|(error, _)| error)
        .unwrap();
    let ended = hub.ended_of("records", 1).await;
    let id = ended[0]["request_id"].as_str().unwrap();
    let spans = collector.of(id, 4).await;
    let whole = named(&spans, "invoke tell");
    assert_eq!((&*whole.trace, &*whole.parent), (TRACE, SPAN));
}
