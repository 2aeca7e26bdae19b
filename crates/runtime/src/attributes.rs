//! An event's attributes as variables of a process.
//!
//! | variable | value |
//! |---|---|
//! | `CE_ID` `CE_TYPE` `CE_SOURCE` | the event's attributes |
//! | `CE_SUBJECT` `CE_DATACONTENTTYPE` | the same, where the event has them |
//! | `CE_TIME` | when it happened, RFC 3339 |
//! | `CE_<NAME>` | each extension, its name in capitals |
//!
//! An attribute that cannot be passed (a NUL byte in it, or larger than the kernel takes) is left out, and a system
//! line of the invocation's log says so: the event is not the function's fault.

use std::collections::BTreeMap;

use tripline_model::Event;

/// Linux takes 128 KiB for one variable.
const MAX_VALUE_BYTES: usize = 96 * 1024;

/// Linux takes 2 MiB or more for all arguments and variables together; this leaves room for the others.
const MAX_ATTRIBUTES_BYTES: usize = 512 * 1024;

/// Variables, and remarks about what was left out.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Attributes {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) remarks: Vec<String>,
}

// === impl Attributes ===

impl Attributes {
    pub(crate) fn of(event: &Event) -> Self {
        let mut all = Self::default();
        let mut left = MAX_ATTRIBUTES_BYTES;
        for (name, value) in &event.extensions {
            all.add(&name.to_ascii_uppercase(), value, &mut left);
        }
        // After the extensions, so that none of them takes the place of an attribute.
        let attributes = [
            ("ID", Some(event.id.clone())),
            ("TYPE", Some(event.kind.clone())),
            ("SOURCE", Some(event.source.clone())),
            ("SUBJECT", event.subject.clone()),
            ("TIME", Some(event.time.to_string())),
            ("DATACONTENTTYPE", event.content_type.clone()),
        ];
        for (name, value) in attributes {
            all.variables.remove(&format!("CE_{name}"));
            // Each has its own room: many extensions must not push out an attribute.
            let mut own = MAX_VALUE_BYTES;
            if let Some(value) = value {
                all.add(name, &value, &mut own);
            }
        }
        all
    }

    fn add(&mut self, name: &str, value: &str, left: &mut usize) {
        let trouble = if value.contains('\0') {
            "has a NUL byte"
        } else if value.len() > MAX_VALUE_BYTES || value.len() > *left {
            "is too large for the environment"
        } else {
            *left -= value.len();
            self.variables
                .insert(format!("CE_{name}"), value.to_owned());
            return;
        };
        let remark = format!("CE_{name} was left out: the attribute {trouble}");
        self.remarks.push(remark);
    }
}

#[cfg(test)]
mod tests {
    use tripline_model::Timestamp;

    use super::*;

    fn event(extensions: &[(&str, &str)]) -> Event {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Event {
            id: "e-1".to_owned(),
            source: "/s".to_owned(),
            kind: "t.v1".to_owned(),
            subject: Some("a\nb".to_owned()),
            time: Timestamp::from_millis(1_795_555_058_243),
            content_type: None,
            data: None,
            extensions: extensions.iter().map(owned).collect(),
        }
    }

    #[test]
    fn attributes_are_variables_and_no_extension_takes_their_place() {
        let all = Attributes::of(&event(&[
            ("partition", "3"),
            ("id", "x"),
            ("datacontenttype", "y"),
        ]));
        let expected = [
            ("CE_ID", "e-1"),
            ("CE_PARTITION", "3"),
            ("CE_SOURCE", "/s"),
            ("CE_SUBJECT", "a\nb"),
            ("CE_TIME", "2026-11-24T21:17:38.243Z"),
            ("CE_TYPE", "t.v1"),
        ];
        let shown = all.variables.iter().map(|(k, v)| (k.as_str(), v.as_str()));
        assert_eq!(shown.collect::<Vec<_>>(), expected);
        assert!(all.remarks.is_empty());
    }

    #[test]
    fn what_cannot_be_passed_is_left_out_and_said() {
        let large = "x".repeat(MAX_VALUE_BYTES + 1);
        let mut event = event(&[("big", &large), ("nul", "a\0b")]);
        event.subject = Some("a\0".to_owned());
        let all = Attributes::of(&event);
        let remarks = [
            "CE_BIG was left out: the attribute is too large for the environment",
            "CE_NUL was left out: the attribute has a NUL byte",
            "CE_SUBJECT was left out: the attribute has a NUL byte",
        ];
        assert_eq!(all.remarks, remarks);
        for name in ["CE_BIG", "CE_NUL", "CE_SUBJECT"] {
            assert!(!all.variables.contains_key(name), "{name}");
        }
        assert!(all.variables.contains_key("CE_ID"));
    }

    #[test]
    fn many_extensions_do_not_push_out_an_attribute() {
        let value = "x".repeat(MAX_VALUE_BYTES);
        let names: Vec<_> = (0..9).map(|n| format!("e{n}")).collect();
        let extensions: Vec<_> = names.iter().map(|n| (n.as_str(), value.as_str())).collect();
        let all = Attributes::of(&event(&extensions));
        assert_eq!(all.remarks.len(), 4, "five of nine fit into 512 KiB");
        assert_eq!(all.variables["CE_ID"], "e-1");
    }
}
