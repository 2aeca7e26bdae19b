//! The environment of a function's process. Nothing of the hub's own environment is passed on.
//!
//! | variable | value |
//! |---|---|
//! | `CE_ID` `CE_TYPE` `CE_SOURCE` | the event's attributes |
//! | `CE_SUBJECT` `CE_DATACONTENTTYPE` | the same, where the event has them |
//! | `CE_TIME` | when it happened, RFC 3339 |
//! | `CE_<NAME>` | each extension, its name in capitals |
//! | `TRIPLINE_REQUEST_ID` `TRIPLINE_FUNCTION` | the invocation and the function |
//! | `TRIPLINE_DEADLINE_MS` | when the run will be stopped, in milliseconds since 1970 (UTC) |
//! | `TRIPLINE_SCRATCH` | a directory for this invocation alone, removed at its end |
//! | `TRIPLINE_HUB` | the hub's id: how a later life of the hub finds what was left running |
//! | `PATH` | a constant, unless the function's own `env` sets it |
//! | the function's own `env` | as in the config; it cannot replace a `CE_` or `TRIPLINE_` variable above |
//!
//! An attribute that cannot be passed (a NUL byte in it, or larger than the kernel takes) is left out, and a system
//! line of the invocation's log says so: the event is not the function's fault.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::Path;

use bytes::Bytes;

use super::ProcessSpec;
use crate::{Start, StartError};

/// `PATH` where the function sets none.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Linux takes 128 KiB for one variable.
const MAX_VALUE_BYTES: usize = 96 * 1024;

/// Linux takes 2 MiB or more for all arguments and variables together; this leaves room for the others.
const MAX_ATTRIBUTES_BYTES: usize = 512 * 1024;

/// Variables, and remarks about what was left out.
pub(super) struct Environment {
    pub(super) variables: BTreeMap<String, OsString>,
    pub(super) remarks: Vec<Bytes>,
}

// === impl Environment ===

impl Environment {
    pub(super) fn of(
        start: &Start,
        spec: &ProcessSpec,
        scratch: &Path,
        hub_id: &str,
    ) -> Result<Self, StartError> {
        let mut variables = BTreeMap::from([("PATH".to_owned(), PATH.into())]);
        for (name, value) in &spec.env {
            let passable = !name.is_empty() && !name.contains(['=', '\0']);
            if !passable || value.expose().contains('\0') {
                return Err(StartError::Unpassable(format!("the variable {name:?}")));
            }
            variables.insert(name.clone(), value.expose().into());
        }
        let mut environment = Self {
            variables,
            remarks: Vec::new(),
        };
        environment.add_attributes(start);
        let own = [
            ("REQUEST_ID", start.invocation.request_id.to_string().into()),
            ("FUNCTION", start.function.name.as_str().into()),
            ("DEADLINE_MS", start.deadline.as_millis().to_string().into()),
            ("SCRATCH", scratch.as_os_str().to_owned()),
            ("HUB", hub_id.into()),
        ];
        for (name, value) in own {
            environment
                .variables
                .insert(format!("TRIPLINE_{name}"), value);
        }
        Ok(environment)
    }

    fn add_attributes(&mut self, start: &Start) {
        let event = &start.invocation.event;
        let mut left = MAX_ATTRIBUTES_BYTES;
        for (name, value) in &event.extensions {
            self.add_attribute(&name.to_ascii_uppercase(), value, &mut left);
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
            self.variables.remove(&format!("CE_{name}"));
            // Each has its own room: many extensions must not push out an attribute.
            let mut own = MAX_VALUE_BYTES;
            if let Some(value) = value {
                self.add_attribute(name, &value, &mut own);
            }
        }
    }

    fn add_attribute(&mut self, name: &str, value: &str, left: &mut usize) {
        let trouble = if value.contains('\0') {
            "has a NUL byte"
        } else if value.len() > MAX_VALUE_BYTES || value.len() > *left {
            "is too large for the environment"
        } else {
            *left -= value.len();
            self.variables.insert(format!("CE_{name}"), value.into());
            return;
        };
        let remark = format!("CE_{name} was left out: the attribute {trouble}");
        self.remarks.push(Bytes::from(remark));
    }
}
