//! A running trigger: its route on the gateway, and what is done with each request.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::StatusCode;
use http::request::Parts;
use tripline_config::SecretRef;
use tripline_listener::{
    Acceptance, AnswerRoom, AuthError, Bearer, GatewayHandler, Problem, Route, idempotency_key,
    read_body, refuse_content_encoding,
};
use tripline_model::{Execution, Identity, Receipt, Rejected, Stopping, Timestamp};
use tripline_trigger::{Trigger, TriggerContext, TriggerError};

use crate::answer::{Receipted, refused};
use crate::cloudevents::Form;
use crate::config::Config;
use crate::event::{self, Arrival};
use crate::key;

/// One route.
#[derive(Debug)]
pub struct HttpTrigger {
    config: Config,
}

/// Answers the route while the trigger runs.
struct Handler {
    config: Config,
    bearer: Option<Bearer>,
    cx: TriggerContext,
}

// === impl HttpTrigger ===

impl HttpTrigger {
    pub(crate) fn new(config: Config) -> Self {
        Self { config }
    }
}

impl Trigger for HttpTrigger {
    fn routes(&self) -> Vec<Route> {
        vec![self.config.route.clone()]
    }

    fn max_body(&self) -> Option<u64> {
        Some(self.config.max_body as u64)
    }

    fn secrets(&self) -> Vec<SecretRef> {
        self.config.auth.token().cloned().into_iter().collect()
    }

    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        let token = self.config.auth.token();
        let token = token.map(|reference| cx.secret(reference)).transpose()?;
        let handler = Arc::new(Handler {
            config: self.config.clone(),
            bearer: token.map(|token| Bearer::new(token.expose())),
            cx: cx.clone(),
        });
        let route = &self.config.route;
        let mount = cx.gateway().mount(route, handler).map_err(|error| {
            TriggerError::new(format!("`{route}` cannot be mounted")).caused_by(error)
        })?;
        cx.fact("route", route.to_string());
        cx.ready();
        cx.shutdown().cancelled().await;
        drop(mount);
        Ok(())
    }
}

// === impl Handler ===

#[async_trait]
impl GatewayHandler for Handler {
    async fn handle(&self, params: Vec<(String, String)>, request: Request) -> Response {
        let room = AnswerRoom::of(request.extensions());
        match self.accept(params, request).await {
            Ok(receipted) => self.answer(receipted, room).await,
            Err(problem) => problem.into_response(),
        }
    }
}

impl Handler {
    /// From the request to the receipt. What needs no body is checked before it is read.
    async fn accept(
        &self,
        params: Vec<(String, String)>,
        request: Request,
    ) -> Result<Receipted, Problem> {
        let (parts, body) = request.into_parts();
        self.authenticate(&parts).map_err(|error| {
            let detail = "send `Authorization: Bearer TOKEN` with the token of this route";
            let problem = error.problem("the caller is not known", detail);
            problem.accepted(Acceptance::No)
        })?;
        refuse_content_encoding(&parts.headers)?;
        let form = Form::of(&parts.headers);
        if let Form::Unsupported(why) = form {
            let title = "the content type is not taken";
            let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
            return Err(refused(status, "unsupported_media_type", title, why));
        }
        let key = idempotency_key(&parts.headers)?;
        let (max_body, body_timeout) = (self.config.max_body, self.config.body_timeout);
        // Its share of the memory for bodies is given back when the event is on disk.
        let (body, _share) = read_body(&parts, body, max_body, body_timeout).await?;
        let identity = self.identity(key.as_deref(), &parts, &body);
        let id = match key {
            Some(key) => key,
            None => new_id(self.cx.clock().now()).map_err(|error| {
                tracing::error!(%error, "the system has no random bytes");
                Rejected::Unavailable
            })?,
        };
        let arrival = Arrival {
            trigger: self.cx.name(),
            now: self.cx.clock().now(),
            id,
        };
        let event = event::of(form, arrival, &parts, body);
        let mut event = event.map_err(|error| {
            let title = "the CloudEvent is not valid";
            let status = StatusCode::BAD_REQUEST;
            refused(status, "invalid_cloudevent", title, error.to_string())
        })?;
        event::add_request(&mut event, &parts, params);
        let offer = self.cx.offer(event, identity);
        // Its body may have taken until after the trigger was paused.
        if self.cx.shutdown().is_cancelled() {
            return Err(Problem::not_served());
        }
        let receipt = self.cx.dispatch().try_dispatch(offer).await?;
        let is_replay = !matches!(receipt, Receipt::New(_));
        // A receipt without an id is given for positions in a stream, which requests do not have.
        let request_id = receipt.request_id().ok_or(Rejected::Unknown)?;
        Ok(Receipted {
            request_id,
            is_replay,
        })
    }

    async fn answer(&self, receipted: Receipted, room: AnswerRoom) -> Response {
        match self.cx.function().execution {
            Execution::Async => receipted.accepted(),
            // A caller that goes away drops this wait and nothing else: the function runs on.
            Execution::Sync => match self.cx.dispatch().ended(receipted.request_id).await {
                Ok(ended) => receipted.ended(ended, room),
                Err(Stopping) => receipted.not_waited_for(),
            },
        }
    }

    fn authenticate(&self, parts: &Parts) -> Result<(), AuthError> {
        match &self.bearer {
            Some(bearer) => bearer.authenticate(&parts.headers, &parts.extensions),
            None => Ok(()),
        }
    }

    fn identity(&self, key: Option<&str>, parts: &Parts, body: &Bytes) -> Identity {
        match key {
            None => Identity::Unique,
            Some(key) => Identity::Key {
                key: format!("{} {key}", self.config.route),
                window: self.config.idempotency_window,
                digest: Some(key::digest(&parts.method, &parts.uri, &parts.headers, body)),
            },
        }
    }
}

/// An id for an event that brought none: the time, and 16 bytes that nobody has had before.
fn new_id(now: Timestamp) -> Result<String, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    let unique = u128::from_ne_bytes(bytes);
    Ok(format!("{}-{unique:032x}", now.as_millis()))
}

#[cfg(test)]
mod tests;
