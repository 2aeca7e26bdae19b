//! Sends spans to a collector, in batches. What cannot be sent is dropped and counted: traces are worth no memory.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use metrics::counter;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tripline_journal::Journal;
use tripline_model::{InvocationTrace, error_chain};

use super::{Note, spans};

/// Notes in one request, at most.
const BATCH: usize = 512;
/// How long a note waits for others.
const LINGER: Duration = Duration::from_millis(500);
/// How long a collector may take for a request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How long the last spans may take when the hub stops.
const LAST: Duration = Duration::from_secs(3);

/// Where spans go, with secrets resolved.
pub(crate) struct Target {
    pub(crate) endpoint: String,
    pub(crate) headers: Vec<(String, String)>,
    /// See [`crate::config::TracesConfig::share`].
    pub(crate) share: f64,
}

/// Why there can be no traces. Never says a header's value.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ExporterError {
    /// The header cannot be sent.
    #[error(
        "traces: the header {0:?} cannot be sent: its name or its value holds what a header cannot"
    )]
    Header(String),
    /// Mostly there are no certificates of authorities on this machine.
    #[error("traces: the HTTP client cannot be built: {0}")]
    Client(#[from] reqwest::Error),
}

/// Sends what is noted.
pub(crate) struct Exporter {
    notes: mpsc::Receiver<Note>,
    journal: Arc<dyn Journal>,
    client: reqwest::Client,
    endpoint: String,
    share: f64,
    service: String,
    is_troubled: bool,
}

// === impl Exporter ===

impl Exporter {
    pub(super) fn new(
        notes: mpsc::Receiver<Note>,
        journal: Arc<dyn Journal>,
        target: Target,
        service: String,
    ) -> Result<Self, ExporterError> {
        let mut headers = HeaderMap::new();
        for (name, value) in target.headers {
            let good = HeaderName::from_bytes(name.as_bytes())
                .ok()
                .zip(HeaderValue::from_str(&value).ok());
            let (good_name, mut good_value) = good.ok_or(ExporterError::Header(name))?;
            good_value.set_sensitive(true);
            headers.insert(good_name, good_value);
        }
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        headers.insert(header::CONTENT_TYPE, protobuf);
        let client = reqwest::Client::builder()
            .default_headers(headers)
            .redirect(reqwest::redirect::Policy::none())
            .timeout(TIMEOUT)
            .no_proxy()
            .build()?;
        Ok(Self {
            notes,
            journal,
            client,
            endpoint: target.endpoint,
            share: target.share,
            service,
            is_troubled: false,
        })
    }

    pub(super) fn share(&self) -> f64 {
        self.share
    }

    /// Works until `stop`, and sends what was noted until then.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let out_of_time = async {
            stop.cancelled().await;
            tokio::time::sleep(LAST).await;
        };
        tokio::select! {
            () = self.work(&stop) => {}
            () = out_of_time => tracing::warn!("the collector did not take the last traces in time"),
        }
    }

    /// Works until nothing can be noted any more. Nothing that was noted is let go of in between.
    async fn work(&mut self, stop: &CancellationToken) {
        while let Some(first) = self.next(stop).await {
            let mut batch = vec![first];
            let linger = tokio::time::sleep(LINGER);
            let mut linger = std::pin::pin!(linger);
            while batch.len() < BATCH {
                tokio::select! {
                    note = self.next(stop) => match note {
                        Some(note) => batch.push(note),
                        None => break,
                    },
                    () = &mut linger => break,
                }
            }
            let mut made = Vec::new();
            for note in batch {
                made.extend(self.spans(note).await);
            }
            if !made.is_empty() {
                self.send(made).await;
            }
        }
    }

    /// The next note; `None` once a stop was asked for and all are taken.
    async fn next(&mut self, stop: &CancellationToken) -> Option<Note> {
        if !self.notes.is_closed() {
            tokio::select! {
                note = self.notes.recv() => return note,
                () = stop.cancelled() => self.notes.close(),
            }
        }
        self.notes.recv().await
    }

    async fn spans(&self, note: Note) -> Vec<Span> {
        match note {
            Note::Accepted {
                id,
                event,
                began,
                ended,
            } => {
                let trace = InvocationTrace::of(id, &event, self.share);
                vec![spans::accepted(&trace, began, ended)]
            }
            Note::Ended(id) => match self.journal.get(id).await {
                Ok(Some(invocation)) => {
                    let trace = InvocationTrace::of(id, &invocation.event, self.share);
                    let spans = trace.sampled.then(|| spans::ended(&trace, &invocation));
                    spans.unwrap_or_default()
                }
                // Removed already, or the journal is closed: there is nothing to report.
                Ok(None) | Err(_) => Vec::new(),
            },
        }
    }

    async fn send(&mut self, spans: Vec<Span>) {
        let count = spans.len() as u64;
        let body = spans::request(&self.service, spans).encode_to_vec();
        let sent = self.client.post(&self.endpoint).body(body).send().await;
        let sent = sent.and_then(reqwest::Response::error_for_status);
        match sent {
            Ok(_) => {
                counter!("tripline_spans_sent_total").increment(count);
                self.is_troubled = false;
            }
            Err(error) => {
                counter!("tripline_spans_dropped_total").increment(count);
                if !self.is_troubled {
                    // Reported once until it goes well again. The address is no secret, but may hold one.
                    let error = error.without_url();
                    let cause = error_chain(&error).last().map(ToString::to_string);
                    let cause = cause.unwrap_or_default();
                    tracing::warn!(%error, cause, "the collector does not take traces; they are dropped");
                }
                self.is_troubled = true;
            }
        }
    }
}
