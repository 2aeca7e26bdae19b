//! The trace context of a request's sender (W3C Trace Context).

use http::HeaderMap;
use tripline_model::Event;

/// Copies the trace context from the headers to `event`, unless the event has one itself.
///
/// Several `traceparent` headers are invalid, and count as none. `tracestate` is a list, which may come in several
/// headers: a proxy may split it.
pub fn keep_trace(event: &mut Event, headers: &HeaderMap) {
    let mut parents = headers.get_all("traceparent").iter();
    let (Some(parent), None) = (parents.next(), parents.next()) else {
        return;
    };
    let states = headers.get_all("tracestate").iter();
    let states: Result<Vec<&str>, _> = states.map(|state| state.to_str()).collect();
    let state = states.ok().map(|states| states.join(","));
    event.keep_trace(parent.to_str().ok(), state.as_deref());
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use http::{HeaderName, HeaderValue};
    use tripline_model::Timestamp;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    /// The attributes that an event gets from these headers.
    fn kept(headers: &[(&str, &[u8])]) -> Vec<String> {
        let mut event = Event {
            id: "1".to_owned(),
            source: "/s".to_owned(),
            kind: "t".to_owned(),
            subject: None,
            time: Timestamp::from_millis(0),
            content_type: None,
            data: None,
            extensions: BTreeMap::new(),
        };
        let pairs = headers.iter().map(|(name, value)| {
            let name = HeaderName::from_bytes(name.as_bytes()).expect("a name");
            (name, HeaderValue::from_bytes(value).expect("a value"))
        });
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(name, value);
        }
        keep_trace(&mut event, &map);
        let extensions = event.extensions.into_iter();
        extensions
            .map(|(name, value)| format!("{name}={value}"))
            .collect()
    }

    #[test]
    fn a_state_in_several_headers_is_one_list() {
        let parent = ("traceparent", PARENT.as_bytes());
        let is_parent = format!("traceparent={PARENT}");
        assert_eq!(kept(&[parent]), std::slice::from_ref(&is_parent));
        let (one, two) = (("tracestate", &b"a=1,b=2"[..]), ("tracestate", &b"c=3"[..]));
        assert_eq!(
            kept(&[one, parent, two]),
            [is_parent.clone(), "tracestate=a=1,b=2,c=3".to_owned()]
        );
        let no_text = ("tracestate", &b"d=\xff"[..]);
        assert_eq!(kept(&[one, parent, no_text]), [is_parent]);
    }

    #[test]
    fn two_trace_parents_count_as_none() {
        let parent = ("traceparent", PARENT.as_bytes());
        let state = ("tracestate", &b"a=1"[..]);
        assert!(kept(&[parent, state, parent]).is_empty());
        assert!(kept(&[state]).is_empty());
    }
}
