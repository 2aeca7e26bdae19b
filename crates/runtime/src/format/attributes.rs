//! An event's attributes as CloudEvents names them, and as they stand in HTTP headers.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use tripline_model::Event;

/// What stands for something else in a header: CloudEvents 1.0, HTTP binding §3.1.3.2.
const IN_A_HEADER: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

/// Names that belong to CloudEvents itself: an extension of that name would be there twice.
const RESERVED: [&str; 8] = [
    "specversion",
    "id",
    "source",
    "type",
    "subject",
    "time",
    "datacontenttype",
    "data",
];

/// Every attribute but the data and its content type.
pub(crate) fn attributes(event: &Event) -> impl Iterator<Item = (&str, Cow<'_, str>)> {
    let core = [
        ("specversion", Some(Cow::Borrowed("1.0"))),
        ("id", Some(event.id.as_str().into())),
        ("source", Some(event.source.as_str().into())),
        ("type", Some(event.kind.as_str().into())),
        ("subject", event.subject.as_deref().map(Cow::Borrowed)),
        ("time", Some(event.time.to_string().into())),
    ];
    let core = core.into_iter();
    let core = core.filter_map(|(name, value)| Some((name, value?)));
    let extensions = event.extensions.iter();
    let extensions = extensions.filter(|(name, _)| !RESERVED.contains(&name.as_str()));
    core.chain(extensions.map(|(name, value)| (name.as_str(), value.as_str().into())))
}

/// A value as it stands in a header: visible ASCII, whatever it was.
pub(crate) fn percent_encoded(value: &str) -> String {
    utf8_percent_encode(value, IN_A_HEADER).to_string()
}
