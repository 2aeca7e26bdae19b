//! `[triggers.NAME]`: the keys every kind has; the rest belongs to the kind.

use std::num::NonZeroU32;

use tripline_config::{ByteSize, Location, Rate, Table, check_name};
use tripline_model::{FunctionName, TriggerName};
use tripline_trigger::{AnyTrigger, Registry};

use super::known_names;

/// `[triggers.NAME]`.
pub struct TriggerConfig {
    /// Its name.
    pub name: TriggerName,
    /// `kind`.
    pub kind: String,
    /// `function`: the one it is for.
    pub function: FunctionName,
    /// Accepted events in any 1 s window. `qps`, default as many as the hub takes.
    pub qps: Option<NonZeroU32>,
    /// `enabled`; a trigger that is not starts paused. Default true.
    pub enabled: bool,
    /// The trigger that its kind built.
    pub trigger: Box<dyn AnyTrigger>,
    /// Where its route is written, for errors that concern two triggers.
    pub(super) route_location: Location,
}

/// Reads one trigger of a hub that takes events of so many bytes.
pub(super) fn read(
    name: &str,
    table: &mut Table<'_>,
    kinds: &Registry,
    functions: &[String],
    max_event_bytes: u64,
) -> Option<TriggerConfig> {
    let function = table.required_such_as::<String>("function", "\"resize\"");
    let qps = table.optional::<Rate>("qps").map(|rate| rate.0);
    let enabled = table.or("enabled", true);
    let route_location = table.location("route");
    if let Some(function) = function
        .as_deref()
        .filter(|name| !functions.iter().any(|f| f == name))
    {
        let help = known_names(function, functions.iter().map(String::as_str), "functions");
        table.error(
            "function",
            format!("there is no function `{function}`"),
            Some(help),
        );
    }
    let kind_names = kinds.names();
    let allowed: Vec<_> = kind_names.iter().map(|name| (*name, *name)).collect();
    // Last: who gives up here has not come to the keys of the kind, and the table is to know that.
    let kind = table.one_of("kind", &allowed, None);
    if let Err(error) = check_name(name) {
        table.error("", error.message, Some(error.help));
    }
    let name = TriggerName::new(name).ok();
    let (kind, name) = (kind?, name?);
    let trigger = kinds.build(kind, &name, table)?;
    if table.has("max_body")
        && trigger
            .max_body()
            .is_some_and(|most| most > max_event_bytes)
    {
        let message = format!(
            "the hub takes no event of more than {}: a larger body would always be refused",
            ByteSize(max_event_bytes)
        );
        let help = "raise `max_event` in [hub] (data and attributes together, at most 6MiB)";
        table.error("max_body", message, Some(help.to_owned()));
    }
    let function = FunctionName::new(&function?).ok()?;
    Some(TriggerConfig {
        name,
        kind: kind.to_owned(),
        function,
        qps,
        enabled,
        trigger,
        route_location,
    })
}
