//! `[triggers.NAME]`: the keys every kind has; the rest belongs to the kind.

use std::num::NonZeroU32;

use tripline_config::{Location, Rate, Table, check_name};
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

/// Reads one trigger.
pub(super) fn read(
    name: &str,
    table: &mut Table<'_>,
    kinds: &Registry,
    functions: &[String],
) -> Option<TriggerConfig> {
    if let Err(error) = check_name(name) {
        table.error("", error.message, Some(error.help));
    }
    let kind = table.required::<String>("kind");
    let function = table.required::<String>("function");
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
    let kind = kind?;
    if !kinds.names().contains(&kind.as_str()) {
        let help = known_names(&kind, kinds.names(), "kinds");
        table.error(
            "kind",
            format!("there is no kind of trigger `{kind}`"),
            Some(help),
        );
        return None;
    }
    let name = TriggerName::new(name).ok()?;
    let trigger = kinds.build(&kind, &name, table)?;
    let function = FunctionName::new(&function?).ok()?;
    Some(TriggerConfig {
        name,
        kind,
        function,
        qps,
        enabled,
        trigger,
        route_location,
    })
}
