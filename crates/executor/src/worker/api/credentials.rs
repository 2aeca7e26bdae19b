//! The credentials of the function's role, in the form in which AWS's SDKs ask for them in a container: they ask again
//! before the credentials expire, so a run of many hours always has valid ones.

use hyper::header::{AUTHORIZATION, CACHE_CONTROL, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, StatusCode};
use serde_json::json;
use tripline_model::Timestamp;

use super::{Api, Reply, reply};

/// Where they are asked for.
pub(in crate::worker) const PATH: &str = "/tripline/credentials";

pub(super) fn reply(api: &Api, head: &Parts) -> Reply {
    if head.method != Method::GET {
        return reply::wrong_method();
    }
    let shown = head.headers.get(AUTHORIZATION);
    let token = &api.endpoint.credentials_token;
    let allowed = shown.is_some_and(|shown| token.matches(shown.as_bytes()));
    if !allowed {
        let message = "the token of AWS_CONTAINER_AUTHORIZATION_TOKEN is needed";
        return reply::refused(StatusCode::UNAUTHORIZED, "Unauthorized", message);
    }
    let Some(credentials) = api.event_slot.credentials() else {
        let message = "there are no credentials: the function has no role, or no run has come yet";
        return reply::refused(StatusCode::NOT_FOUND, "NoCredentials", message);
    };
    let body = json!({
        "AccessKeyId": credentials.access_key,
        "SecretAccessKey": credentials.secret_key.expose(),
        "Token": credentials.session_token.expose(),
        "Expiration": Timestamp::from_millis(credentials.expires_ms).to_string(),
    });
    let mut reply = reply::json(StatusCode::OK, &body);
    let never = HeaderValue::from_static("no-store");
    reply.headers_mut().insert(CACHE_CONTROL, never);
    reply
}
