//! Which values look like secrets by the name of their key: errors never show them, even when the key is unknown or
//! in the wrong place.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parts of key names whose values are not shown.
const SENSITIVE: [&str; 12] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "bearer",
    "credential",
    "private",
    "access_key",
    "api_key",
    "jaas",
    "pem",
];

/// Whether a key's name says that its value is a secret. A line of text can be asked about, too.
pub(crate) fn is_sensitive(name: &str) -> bool {
    let name = name.to_ascii_lowercase().replace('-', "_");
    SENSITIVE.iter().any(|part| name.contains(part))
}

/// The spans of all values that look like secrets.
pub(crate) fn spans(root: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    collect_table(root, false, &mut spans);
    spans
}

fn collect_table(table: &DeTable<'_>, sensitive: bool, spans: &mut Vec<Range<usize>>) {
    for (key, item) in table {
        // `{ env = "NAME" }` and `{ file = "path" }` say where a secret is, and may be shown.
        let is_reference =
            matches!(key.get_ref().as_ref(), "env" | "file") && !item.get_ref().is_table();
        collect(
            item,
            !is_reference && (sensitive || is_sensitive(key.get_ref())),
            spans,
        );
    }
}

fn collect(item: &Spanned<DeValue<'_>>, sensitive: bool, spans: &mut Vec<Range<usize>>) {
    match item.get_ref() {
        DeValue::Table(table) => collect_table(table, sensitive, spans),
        DeValue::Array(items) => items
            .iter()
            .for_each(|inner| collect(inner, sensitive, spans)),
        _ if sensitive => spans.push(item.span()),
        _ => {}
    }
}
