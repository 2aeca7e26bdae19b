//! Names, ids, times, traces and routes: what was taken is shown as it reads.

use std::fmt::{Debug, Display};

use tripline_listener::Route;
use tripline_model::{FunctionName, RequestId, Timestamp, TraceParent, TriggerName};

/// One word.
pub(crate) fn names(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    shown_as_read(text, |text| text.parse::<RequestId>().ok());
    shown_as_read(text, |text| FunctionName::new(text).ok());
    shown_as_read(text, |text| TriggerName::new(text).ok());
    shown_as_read(text, TraceParent::parse);
    shown_as_read(text, Timestamp::parse);
    shown_as_read(text, |text| text.parse::<Route>().ok());
    if let Ok(route) = text.parse::<Route>() {
        assert!(route.conflicts(&route), "{route} beside itself");
    }
}

fn shown_as_read<T: Display + Debug + PartialEq>(text: &str, read: impl Fn(&str) -> Option<T>) {
    let Some(value) = read(text) else {
        return;
    };
    let shown = value.to_string();
    assert!(!shown.chars().any(char::is_control), "{shown:?}");
    assert_eq!(read(&shown), Some(value), "{shown:?}");
}
