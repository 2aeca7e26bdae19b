//! The admin API as the commands use it: one verb per kind of request, every problem already turned into a message.

use std::path::Path;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use reqwest::{Method, RequestBuilder, Response, Url};
use rustls::pki_types::{CertificateDer, pem::PemObject};
use serde_json::{Value, json};

use super::failure::{Failure, TOKEN_HELP};
use super::locate::Hub;
use super::trouble::{self, last_cause};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing may come before a message shows what is waited for.
const SILENCE: Duration = Duration::from_secs(3);
/// Longest silence of the hub. A follower gets a keep-alive every 15 s.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
/// Largest answer that is held in memory.
const MAX_ANSWER_BYTES: usize = 64 * 1024 * 1024;

/// Speaks to one hub.
pub(crate) struct AdminClient<'a> {
    http: reqwest::Client,
    url: Url,
    token: String,
    /// Where the token was found.
    token_from: String,
    /// Says that an answer takes its time.
    remark: &'a (dyn Fn(&str) + Sync),
}

/// An answer of the hub, read to its end.
pub(crate) struct Answer {
    /// The `Tripline-Request-Id` header.
    pub(crate) request_id: String,
    /// Whether the hub answered 202: accepted, and no result yet.
    pub(crate) is_receipt: bool,
    /// The receipt or the result.
    pub(crate) body: Document,
}

/// Bytes of a function, or about it.
pub(crate) struct Document {
    pub(crate) bytes: Bytes,
    /// Whether the function wrote more than was kept.
    pub(crate) is_cut: bool,
}

// === impl AdminClient ===

impl<'a> AdminClient<'a> {
    /// A client for `hub`; `ca` names certificates in PEM that are trusted instead of the system's.
    pub(crate) fn new(
        hub: Hub,
        ca: Option<&Path>,
        remark: &'a (dyn Fn(&str) + Sync),
    ) -> Result<Self, Failure> {
        // No proxy: the token goes to the hub and to nobody else. No redirects, for the same reason.
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy();
        let builder = if hub.url.scheme() == "https" && ca.is_none() {
            // Fails only where the process has chosen a provider already, which is as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
            builder
        } else {
            // Plain HTTP gets an empty store, so that a machine without certificates can use it.
            builder.tls_backend_preconfigured(tls_trusting(ca)?)
        };
        let http = builder.build().map_err(|error| {
            Failure::Usage(format!("TLS cannot be used: {}", last_cause(&error)))
        })?;
        Ok(Self {
            http,
            url: hub.url,
            token: hub.token,
            token_from: hub.token_from,
            remark,
        })
    }

    /// Reads JSON.
    pub(crate) async fn get(
        &self,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<Value, Failure> {
        self.json(self.request(Method::GET, path, query)?).await
    }

    /// Reads bytes of a function.
    pub(crate) async fn get_document(&self, path: &[&str]) -> Result<Document, Failure> {
        let response = self.send(self.request(Method::GET, path, &[])?).await?;
        self.document(response).await
    }

    /// Orders something and reads JSON.
    pub(crate) async fn post(&self, path: &[&str], body: &Value) -> Result<Value, Failure> {
        self.json(self.request(Method::POST, path, &[])?.json(body))
            .await
    }

    /// Calls a function. Waits as long as a sync function runs.
    pub(crate) async fn invoke(
        &self,
        function: &str,
        headers: &[(&str, &str)],
        body: Vec<u8>,
    ) -> Result<Answer, Failure> {
        let mut request = self
            .request(
                Method::POST,
                &["v1", "functions", function, "invocations"],
                &[],
            )?
            .body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = self.send(request).await?;
        let id = response.headers().get("tripline-request-id");
        // Any web server answers 200 to anything; only a hub says which invocation it was.
        let id = id.and_then(|id| id.to_str().ok());
        let request_id = id.ok_or_else(|| self.not_a_hub())?.to_owned();
        let is_receipt = response.status() == reqwest::StatusCode::ACCEPTED;
        let body = self.document(response).await;
        let body = body.map_err(|failure| failure.of_accepted(&request_id))?;
        Ok(Answer {
            request_id,
            is_receipt,
            body,
        })
    }

    /// Opens the live log after line `after`.
    pub(crate) async fn follow(&self, request_id: &str, after: u64) -> Result<Response, Failure> {
        let path = ["v1", "invocations", request_id, "logs"];
        let request = self
            .request(Method::GET, &path, &[("follow", "true".to_owned())])?
            .header("accept", "text/event-stream")
            .header("last-event-id", after);
        self.send(request).await
    }

    /// The next piece of an answer that comes in pieces; `None` at its end.
    pub(crate) async fn next_chunk(
        &self,
        response: &mut Response,
    ) -> Result<Option<Bytes>, Failure> {
        let chunk = tokio::time::timeout(READ_TIMEOUT, response.chunk()).await;
        match chunk {
            Ok(chunk) => chunk.map_err(|error| self.lost(&error)),
            Err(_) => Err(Failure::Unreachable {
                url: self.url.to_string(),
                why: format!("nothing heard for {} s", READ_TIMEOUT.as_secs()),
                was_connected: true,
            }),
        }
    }

    fn lost(&self, error: &reqwest::Error) -> Failure {
        trouble::lost(&self.url, error)
    }

    fn request(
        &self,
        method: Method,
        path: &[&str],
        query: &[(&str, String)],
    ) -> Result<RequestBuilder, Failure> {
        // These two have no escape in a URL: they would lead to another path.
        if let Some(dots) = path.iter().find(|segment| matches!(**segment, "." | "..")) {
            return Err(Failure::Usage(format!("`{dots}` names nothing")));
        }
        let mut url = self.url.clone();
        if let Ok(mut segments) = url.path_segments_mut() {
            // Escapes what a user typed, so that an odd id cannot become another path.
            segments.clear().extend(path);
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        Ok(self.http.request(method, url).bearer_auth(&self.token))
    }

    async fn json(&self, request: RequestBuilder) -> Result<Value, Failure> {
        let response = self.send(request.timeout(READ_TIMEOUT)).await?;
        let body = self.read(response).await?;
        serde_json::from_slice(&body).map_err(|_| self.not_a_hub())
    }

    async fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let mut answer = pin!(request.send());
        let answer = match tokio::time::timeout(SILENCE, &mut answer).await {
            Ok(answer) => answer,
            Err(_) => {
                (self.remark)(&format!("waiting for an answer of {}", self.url));
                answer.await
            }
        };
        let response = answer.map_err(|error| self.lost(&error))?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let body = match self.read(response).await {
            // Whatever the reason was, nothing was done.
            Err(Failure::Unreachable { .. }) if status.is_client_error() => {
                let status = status.as_u16();
                let title =
                    format!("refused with HTTP {status}: the hub went away before it said why");
                json!({ "title": title }).to_string().into()
            }
            body => body?,
        };
        match Failure::from_answer(status.as_u16(), &body) {
            Failure::NoRoute => Err(Failure::Refused(format!(
                "what answers at {} is not the admin API; is it the gateway? `tripline serve` prints where both are",
                self.url
            ))),
            Failure::Unauthorised(words) => Err(Failure::Unauthorised(format!(
                "{words}\nAsked was {} with {}: another token was made since, or another hub answers there\n{TOKEN_HELP}",
                self.url, self.token_from
            ))),
            failure => Err(failure),
        }
    }

    async fn document(&self, response: Response) -> Result<Document, Failure> {
        let cut = response.headers().get("tripline-result-cut");
        let is_cut = cut.is_some_and(|cut| cut == "true");
        let bytes = self.read(response).await?;
        Ok(Document { bytes, is_cut })
    }

    async fn read(&self, mut response: Response) -> Result<Bytes, Failure> {
        let mut body = Vec::new();
        while let Some(chunk) = self.next_chunk(&mut response).await? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(self.not_a_hub());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body.into())
    }

    /// Something answers, but not a hub of this kind.
    pub(crate) fn not_a_hub(&self) -> Failure {
        Failure::Refused(format!(
            "what answers at {} is not a Tripline hub",
            self.url
        ))
    }
}

fn tls_trusting(ca: Option<&Path>) -> Result<rustls::ClientConfig, Failure> {
    let mut roots = rustls::RootCertStore::empty();
    if let Some(path) = ca {
        let unusable =
            |why: String| Failure::Usage(format!("cannot use --ca {}: {why}", path.display()));
        let certificates =
            CertificateDer::pem_file_iter(path).map_err(|e| unusable(e.to_string()))?;
        for certificate in certificates {
            let certificate = certificate.map_err(|e| unusable(e.to_string()))?;
            roots
                .add(certificate)
                .map_err(|e| unusable(e.to_string()))?;
        }
        if roots.is_empty() {
            return Err(unusable("it holds no certificate".to_owned()));
        }
    }
    let provider = rustls::crypto::ring::default_provider().into();
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Failure::Usage(format!("TLS cannot be used: {error}")))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
