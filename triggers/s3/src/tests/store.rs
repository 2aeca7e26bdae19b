//! A store on loopback that answers as recorded: listings, the question for versioning, and MinIO's Listen stream. It
//! can cut, stall, drop and flood.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use http::{HeaderMap, HeaderValue, StatusCode};
use tokio::sync::{broadcast, watch};
use tokio::task::JoinSet;
use tripline_model::Timestamp;

/// The store; dropping it takes it off the network.
pub(super) struct Store {
    pub(super) endpoint: String,
    inner: Arc<Inner>,
    _server: JoinSet<()>,
}

struct Inner {
    data: Mutex<Data>,
    lines: broadcast::Sender<Line>,
    streams: watch::Sender<usize>,
    listings: watch::Sender<usize>,
}

#[derive(Clone)]
enum Line {
    Send(Bytes),
    Cut,
}

struct Data {
    /// Key, version (empty without), etag and time; in the order of a listing.
    objects: Vec<(String, String, String, Timestamp)>,
    versioned: bool,
    /// Keys in listings as they are, as versitygw does.
    verbatim: bool,
    /// Listings do not have the place where they go on.
    lost: bool,
    /// What every request is answered with, instead of what it asks for.
    failure: Option<(StatusCode, &'static str)>,
    /// The only access key that is let in.
    access_key: &'static str,
    mute: bool,
    keep_back: bool,
    /// The `Date` of every answer.
    date: String,
}

impl Default for Data {
    fn default() -> Self {
        Self {
            objects: Vec::new(),
            versioned: false,
            verbatim: false,
            lost: false,
            failure: None,
            access_key: "access",
            mute: false,
            keep_back: false,
            date: http_date(super::noon(0)),
        }
    }
}

// === impl Store ===

impl Store {
    pub(super) async fn start() -> Self {
        let inner = Arc::new(Inner {
            data: Mutex::default(),
            lines: broadcast::channel(1 << 14).0,
            streams: watch::channel(0).0,
            listings: watch::channel(0).0,
        });
        let app = Router::new()
            .fallback(answer)
            .with_state(Arc::clone(&inner));
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", socket.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(socket, app).await.unwrap() });
        Self {
            endpoint,
            inner,
            _server: server,
        }
    }

    /// Puts an object, or a version of one, without a notification.
    pub(super) fn put(&self, key: &str, version: &str, etag: &str, at: Timestamp) {
        self.with(|data| {
            data.objects
                .retain(|(of, id, ..)| !(of == key && id == version));
            data.objects
                .push((key.to_owned(), version.to_owned(), etag.to_owned(), at));
            // Keys ascend, and the newest version comes first.
            data.objects
                .sort_by(|a, b| a.0.cmp(&b.0).then(b.3.as_millis().cmp(&a.3.as_millis())));
        });
    }

    /// Removes an object without a notification.
    pub(super) fn remove(&self, key: &str) {
        self.with(|data| data.objects.retain(|(of, ..)| of != key));
    }

    /// Lists in the opposite order.
    pub(super) fn reverse(&self) {
        self.with(|data| data.objects.reverse());
    }

    pub(super) fn set_versioned(&self) {
        self.with(|data| data.versioned = true);
    }

    pub(super) fn lose_places(&self, lost: bool) {
        self.with(|data| data.lost = lost);
    }

    pub(super) fn set_verbatim(&self) {
        self.with(|data| data.verbatim = true);
    }

    /// Answers every request with this status and S3's word for it, or none any more.
    pub(super) fn fail(&self, failure: Option<(StatusCode, &'static str)>) {
        self.with(|data| data.failure = failure);
    }

    /// Lets in only who has this access key; at first it is `access`.
    pub(super) fn admit(&self, access_key: &'static str) {
        self.with(|data| data.access_key = access_key);
    }

    /// Sets the store's clock; at first it shows noon, as the hub's does. `None`: it has no time.
    pub(super) fn set_clock(&self, now: Option<Timestamp>) {
        self.with(|data| data.date = now.map_or("unknown".to_owned(), http_date));
    }

    /// Opens streams, but sends no heartbeat after the first.
    pub(super) fn mute(&self, mute: bool) {
        self.with(|data| data.mute = mute);
    }

    /// Keeps back all bytes of new streams, the head too, as a MinIO that does not flush.
    pub(super) fn keep_back(&self, keep_back: bool) {
        self.with(|data| data.keep_back = keep_back);
    }

    /// Says a line to whoever listens.
    pub(super) fn send_line(&self, line: &str) {
        let _ = self
            .inner
            .lines
            .send(Line::Send(format!("{line}\n").into()));
    }

    /// As MinIO notifies of an object in `uploads`.
    pub(super) fn notify(&self, key: &str, etag: &str, at: Timestamp) {
        self.send_line(&minio_line(key, etag, at));
    }

    /// Sends bytes without a line end.
    pub(super) fn say_raw(&self, bytes: Vec<u8>) {
        let _ = self.inner.lines.send(Line::Send(bytes.into()));
    }

    /// Cuts all streams.
    pub(super) fn cut(&self) {
        let _ = self.inner.lines.send(Line::Cut);
    }

    /// Waits until that many streams were opened since the start.
    pub(super) async fn wait_streams(&self, count: usize) {
        wait(self.inner.streams.subscribe(), count, "streams").await;
    }

    /// Waits until that many listings were asked for since the start.
    pub(super) async fn wait_listings(&self, count: usize) {
        wait(self.inner.listings.subscribe(), count, "listings").await;
    }

    pub(super) fn listings(&self) -> usize {
        *self.inner.listings.borrow()
    }

    fn with(&self, change: impl FnOnce(&mut Data)) {
        change(&mut self.inner.data.lock().unwrap());
    }
}

async fn wait(mut counter: watch::Receiver<usize>, count: usize, what: &str) {
    let patience = tripline_trigger::testkit::PATIENCE;
    let waited = tokio::time::timeout(patience, counter.wait_for(|now| *now >= count)).await;
    assert!(waited.is_ok(), "{count} {what} were not asked for");
}

/// A line of the Listen stream.
pub(super) fn minio_line(key: &str, etag: &str, at: Timestamp) -> String {
    let nanos = at.as_millis() * 1_000_000 + 123_456;
    serde_json::json!({ "Records": [{
        "eventVersion": "2.0", "eventSource": "minio:s3", "eventTime": at.to_string(),
        "eventName": "s3:ObjectCreated:Put", "responseElements": { "x-amz-request-id": "1" },
        "s3": { "configurationId": "Config", "bucket": { "name": "uploads" },
            "object": { "key": key, "size": 1, "eTag": etag, "sequencer": format!("{nanos:X}") } },
    }] })
    .to_string()
}

/// With the store's clock.
async fn answer(
    State(inner): State<Arc<Inner>>,
    query: Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let mut answer = answer_of(State(Arc::clone(&inner)), query, headers).await;
    let date = HeaderValue::from_str(&inner.data.lock().unwrap().date).unwrap();
    answer.headers_mut().insert("date", date);
    answer
}

async fn answer_of(
    State(inner): State<Arc<Inner>>,
    Query(query): Query<HashMap<String, String>>,
    headers: HeaderMap,
) -> Response {
    let asks_for_stream = query.contains_key("events");
    if asks_for_stream && inner.data.lock().unwrap().keep_back {
        return std::future::pending().await;
    }
    let data = inner.data.lock().unwrap();
    let signed = headers
        .get("authorization")
        .and_then(|value| value.to_str().ok());
    let by_key = format!("AWS4-HMAC-SHA256 Credential={}/", data.access_key);
    if !signed.is_some_and(|value| value.starts_with(&by_key)) {
        return failure(StatusCode::FORBIDDEN, "InvalidAccessKeyId");
    }
    if let Some((status, code)) = data.failure {
        return failure(status, code);
    }
    if asks_for_stream {
        return listen(&inner, data.mute);
    }
    if query.contains_key("versioning") {
        let status = if data.versioned {
            "<Status>Enabled</Status>"
        } else {
            ""
        };
        return xml("VersioningConfiguration", status);
    }
    inner.listings.send_modify(|count| *count += 1);
    if query.contains_key("versions") {
        return versions(&data, &query);
    }
    objects(&data, &query)
}

fn listen(inner: &Inner, mute: bool) -> Response {
    let lines = inner.lines.subscribe();
    let ping = Bytes::from_static(b"{\"Records\":null}\n");
    let first = stream::iter([Ok::<_, Infallible>(ping.clone())]);
    let rest = stream::unfold((lines, ping), move |(mut lines, ping)| async move {
        let beat = tokio::time::sleep(std::time::Duration::from_millis(200));
        tokio::select! {
            line = lines.recv() => match line {
                Ok(Line::Send(line)) => Some((Ok(line), (lines, ping))),
                Ok(Line::Cut) | Err(_) => None,
            },
            () = beat, if !mute => Some((Ok(ping.clone()), (lines, ping))),
        }
    });
    inner.streams.send_modify(|count| *count += 1);
    let body = Body::from_stream(futures_util::StreamExt::chain(first, rest));
    ([("content-type", "text/event-stream")], body).into_response()
}

fn objects(data: &Data, query: &HashMap<String, String>) -> Response {
    let from: usize = query
        .get("continuation-token")
        .map_or(0, |token| token.parse().unwrap());
    let (page, more) = page(data, query, from);
    let mut body: String = page
        .iter()
        .map(|object| element("Contents", data, object))
        .collect();
    if more && !data.lost {
        let next = from + page.len();
        body += &format!("<NextContinuationToken>{next}</NextContinuationToken>");
    }
    xml("ListBucketResult", &(body + &tail(data, more)))
}

fn versions(data: &Data, query: &HashMap<String, String>) -> Response {
    let marker =
        ["key-marker", "version-id-marker"].map(|name| query.get(name).map(String::as_str));
    let at = |(key, id, ..): &&(String, String, String, Timestamp)| {
        marker == [Some(key.as_str()), Some(id.as_str())]
    };
    let from = data
        .objects
        .iter()
        .position(|object| at(&object))
        .map_or(0, |at| at + 1);
    let (page, more) = page(data, query, from);
    let mut body: String = page
        .iter()
        .map(|object| element("Version", data, object))
        .collect();
    if let Some((key, id, ..)) = page.last().filter(|_| more && !data.lost) {
        let key = shown(data, key);
        body += &format!("<NextKeyMarker>{key}</NextKeyMarker>");
        body += &format!("<NextVersionIdMarker>{id}</NextVersionIdMarker>");
    }
    xml("ListVersionsResult", &(body + &tail(data, more)))
}

type Object = (String, String, String, Timestamp);

/// Three objects a page, so that small tests turn pages.
fn page(data: &Data, query: &HashMap<String, String>, from: usize) -> (Vec<Object>, bool) {
    let prefix = query.get("prefix").map_or("", String::as_str);
    let left = data.objects[from..]
        .iter()
        .filter(|(key, ..)| key.starts_with(prefix));
    let page: Vec<Object> = left.take(3).cloned().collect();
    let more = from + page.len() < data.objects.len() && page.len() == 3;
    (page, more)
}

fn element(name: &str, data: &Data, (key, id, etag, at): &Object) -> String {
    let id = if id.is_empty() { "null" } else { id };
    let key = shown(data, key);
    format!(
        "<{name}><Key>{key}</Key><VersionId>{id}</VersionId><LastModified>{at}</LastModified>\
         <ETag>&quot;{etag}&quot;</ETag><Size>1</Size></{name}>"
    )
}

fn shown(data: &Data, key: &str) -> String {
    if data.verbatim {
        let escaped = key
            .replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;");
        return escaped.replace('\n', "&#xA;").replace('\t', "&#x9;");
    }
    let bytes = key.bytes().map(|byte| match byte {
        b' ' => "+".to_owned(),
        b'/' | b'-' | b'.' | b'_' => char::from(byte).to_string(),
        byte if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    });
    bytes.collect()
}

fn tail(data: &Data, more: bool) -> String {
    let encoding = if data.verbatim { "" } else { "url" };
    format!("<IsTruncated>{more}</IsTruncated><EncodingType>{encoding}</EncodingType>")
}

fn failure(status: StatusCode, code: &str) -> Response {
    let text = format!("<Error><Code>{code}</Code><Message>as told by the test</Message></Error>");
    (status, [("content-type", "application/xml")], text).into_response()
}

fn http_date(at: Timestamp) -> String {
    let at = DateTime::from_secs(at.as_millis() / 1_000);
    at.fmt(DateTimeFormat::HttpDate).unwrap()
}

fn xml(root: &str, body: &str) -> Response {
    let head = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
    let space = "http://s3.amazonaws.com/doc/2006-03-01/";
    let text = format!("{head}<{root} xmlns=\"{space}\">{body}</{root}>");
    ([("content-type", "application/xml")], text).into_response()
}
