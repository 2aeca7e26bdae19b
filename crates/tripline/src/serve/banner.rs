//! The block that a hub prints when it is ready.

use std::fmt::Write;

use super::hub::Hub;

/// Version, addresses, files, functions and triggers.
pub(super) fn ready(hub: &Hub) -> String {
    let mut text = format!("Tripline {} is ready\n", env!("CARGO_PKG_VERSION"));
    let mut line = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "  {name:<10} {value}");
    };
    line("data", &hub.data_dir.display().to_string());
    line("gateway", &hub.gateway_url);
    line("admin", &hub.admin_url);
    line(
        "token",
        &hub.data_dir
            .join(crate::token::TOKEN_FILE)
            .display()
            .to_string(),
    );
    for (index, status) in hub.functions().iter().enumerate() {
        let (name, mode) = (&status.function.name, status.function.execution.as_str());
        let queued = match status.queued {
            0 => String::new(),
            waiting => format!(", {waiting} waiting"),
        };
        let what = format!("{name} ({}, {mode}{queued})", status.function.runtime);
        line(if index == 0 { "functions" } else { "" }, &what);
    }
    for (index, trigger) in hub.triggers().iter().enumerate() {
        let what = format!(
            "{} ({}) -> {}: {}",
            trigger.name,
            trigger.kind,
            trigger.function,
            trigger.state.as_str()
        );
        line(if index == 0 { "triggers" } else { "" }, &what);
    }
    text
}
