//! A service that stands before another one and makes its credentials expire soon.

use std::time::{Duration, SystemTime};

use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::sts::client;

/// Passes every call on to a real service, and returns its answer with another expiry of the credentials. They are real,
/// only marked as ending sooner than they do: no service gives any for less than a quarter of an hour, and no test waits
/// for so long.
pub struct HastySts {
    /// Where it is.
    pub endpoint: String,
    _server: JoinSet<()>,
}

// === impl HastySts ===

impl HastySts {
    /// Stands before the service at `real`; from there on, credentials end after `life`.
    pub async fn before(real: &str, life: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let real = real.to_owned();
        let pass = async move |headers: HeaderMap, body: Bytes| {
            // With the host that was meant, for that is part of what was signed.
            let request = client().post(&real).headers(headers).body(body);
            let answer = request.send().await.expect("the real service answers");
            let status = StatusCode::from_u16(answer.status().as_u16()).expect("it is a status");
            let text = answer.text().await.expect("it is text");
            (status, sooner(&text, life))
        };
        let mut server = JoinSet::new();
        let app = Router::new().route("/", post(pass));
        server.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self {
            endpoint: format!("http://{address}"),
            _server: server,
        }
    }
}

/// The same answer, in which the credentials end after `life`; one without credentials as it is.
#[allow(
    clippy::disallowed_methods,
    reason = "the hub under test goes by the real time"
)]
fn sooner(answer: &str, life: Duration) -> String {
    let parts = answer.split_once("<Expiration>");
    let Some((before, (_, after))) =
        parts.and_then(|(before, rest)| Some((before, rest.split_once("</")?)))
    else {
        return answer.to_owned();
    };
    let end = DateTime::from(SystemTime::now() + life);
    let end = end.fmt(DateTimeFormat::DateTime).expect("it is a date");
    format!("{before}<Expiration>{end}</{after}")
}
