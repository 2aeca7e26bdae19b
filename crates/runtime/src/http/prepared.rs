//! A target whose URL and headers were looked at, and the request that it gets.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use reqwest::Url;
use tripline_model::FunctionName;

use super::{HttpTarget, HttpTargetError};
use crate::Start;
use crate::format::{attributes, percent_encoded};

/// A target that can be posted to.
pub(super) struct Prepared {
    pub(super) url: Url,
    /// The host, where it is an address: no resolver ever sees it.
    pub(super) address: Option<IpAddr>,
    pub(super) allow_private: bool,
    headers: HeaderMap,
}

// === impl Prepared ===

impl Prepared {
    pub(super) fn of(function: &FunctionName, target: HttpTarget) -> Result<Self, HttpTargetError> {
        // This parser knows every spelling of an IPv4 address, such as 0x7f.1, and writes it in the usual one.
        let url = Url::parse(&target.url.to_string()).ok();
        let url = url.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let url = url.ok_or_else(|| HttpTargetError::Url(function.clone()))?;
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_matches(['[', ']']).parse().ok();
        let mut headers = HeaderMap::new();
        for (name, value) in target.headers {
            let good_name = HeaderName::from_bytes(name.as_bytes());
            let good_value = HeaderValue::from_str(value.expose());
            let (Ok(good_name), Ok(mut good_value)) = (good_name, good_value) else {
                let function = function.clone();
                return Err(HttpTargetError::Header { function, name });
            };
            good_value.set_sensitive(true);
            headers.append(good_name, good_value);
        }
        Ok(Self {
            url,
            address,
            allow_private: target.allow_private,
            headers,
        })
    }

    /// The headers of one request: CloudEvents 1.0, HTTP binding, binary form.
    pub(super) fn headers(&self, start: &Start, traces: Option<f64>) -> HeaderMap {
        let event = &start.invocation.event;
        let mut headers = self.headers.clone();
        let mut set = |name: &str, value: String| {
            // Names are `[a-z0-9-]`; a value that no header can hold is a content type: it is left out.
            if let (Ok(name), Ok(value)) =
                (HeaderName::try_from(name), HeaderValue::try_from(value))
            {
                headers.insert(name, value);
            }
        };
        for (name, value) in attributes(event) {
            set(&format!("ce-{name}"), percent_encoded(&value));
        }
        if let Some(content_type) = &event.content_type {
            set(header::CONTENT_TYPE.as_str(), content_type.clone());
        }
        if event.data_len() == 0 {
            // The client would leave it out, and some servers ask for it.
            set(header::CONTENT_LENGTH.as_str(), "0".to_owned());
        }
        let deadline = start.deadline.as_millis();
        set(
            "tripline-request-id",
            start.invocation.request_id.to_string(),
        );
        set("tripline-function", start.function.name.to_string());
        set("tripline-deadline-ms", deadline.to_string());
        if let Some(parent) = start.invocation.traceparent(traces) {
            set("traceparent", parent.to_string());
            if let Some(state) = event.extensions.get("tracestate") {
                set("tracestate", state.clone());
            }
        }
        headers
    }
}
