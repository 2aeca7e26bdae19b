//! Which values look like secrets by the name of their key: errors never show them, even when the key is unknown or
//! in the wrong place.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// Parts of key names whose values are not shown.
const SENSITIVE: [&str; 12] = [
    "pass",
    "secret",
    "token",
    "bearer",
    "authorization",
    "cookie",
    "credential",
    "private",
    "access_key",
    "api_key",
    "jaas",
    "pem",
];

/// Tables of text that is for others: nobody knows by its name what of it is a secret.
const OPAQUE: [&str; 2] = ["headers", "env"];

/// Keys of addresses. One with an `@` names a user, and often the password.
const ADDRESSES: [&str; 3] = ["url", "sts", "endpoint"];

/// Whether a key's name says that its value, or all that is below it, is a secret.
pub(crate) fn is_sensitive(name: &str) -> bool {
    has_sensitive_part(name) || OPAQUE.contains(&name)
}

/// Whether a line of text that is in no value may hold a secret.
pub(crate) fn is_sensitive_line(line: &str) -> bool {
    has_sensitive_part(line)
        || OPAQUE.iter().any(|word| line.contains(word))
        || names_a_user(line, ADDRESSES.iter().any(|key| line.contains(key)))
}

/// The spans of all values that look like secrets.
pub(crate) fn spans(root: &DeTable<'_>) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    collect_table(root, Below::Nothing, &mut spans);
    spans
}

/// The users that addresses name, with their passwords: a message may repeat its value.
pub(crate) fn users(root: &DeTable<'_>) -> Vec<String> {
    let mut users = Vec::new();
    root.iter()
        .for_each(|(key, item)| collect_users(key.get_ref(), item, &mut users));
    users
}

/// The spans of all values of an item that belongs to a sensitive key.
pub(crate) fn spans_of(item: &Spanned<DeValue<'_>>) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    collect(item, Below::Sensitive, false, &mut spans);
    spans
}

/// What kind of key a value is below.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Below {
    Nothing,
    Sensitive,
    /// Right below: its keys are names that somebody chose, and none is a reference.
    Opaque,
}

fn has_sensitive_part(text: &str) -> bool {
    let text = text.to_ascii_lowercase().replace('-', "_");
    SENSITIVE.iter().any(|part| text.contains(part))
}

fn names_a_user(text: &str, is_address: bool) -> bool {
    text.contains('@') && (is_address || text.contains("://"))
}

fn collect_table(table: &DeTable<'_>, below: Below, spans: &mut Vec<Range<usize>>) {
    for (key, item) in table {
        let key: &str = key.get_ref();
        // `{ env = "NAME" }` and `{ file = "path" }` say where a secret is, and may be shown.
        let is_reference = matches!(key, "env" | "file") && !item.get_ref().is_table();
        let below = match below {
            _ if OPAQUE.contains(&key) && item.get_ref().is_table() => Below::Opaque,
            Below::Opaque => Below::Sensitive,
            _ if is_reference => Below::Nothing,
            _ if has_sensitive_part(key) => Below::Sensitive,
            below => below,
        };
        collect(item, below, ADDRESSES.contains(&key), spans);
    }
}

fn collect(
    item: &Spanned<DeValue<'_>>,
    below: Below,
    is_address: bool,
    spans: &mut Vec<Range<usize>>,
) {
    match item.get_ref() {
        DeValue::Table(table) => collect_table(table, below, spans),
        DeValue::Array(items) => items
            .iter()
            .for_each(|inner| collect(inner, below, is_address, spans)),
        DeValue::String(text) if names_a_user(text, is_address) => spans.push(item.span()),
        _ if below != Below::Nothing => spans.push(item.span()),
        _ => {}
    }
}

fn collect_users(key: &str, item: &Spanned<DeValue<'_>>, users: &mut Vec<String>) {
    match item.get_ref() {
        DeValue::Table(table) => table
            .iter()
            .for_each(|(key, item)| collect_users(key.get_ref(), item, users)),
        DeValue::Array(items) => items
            .iter()
            .for_each(|inner| collect_users(key, inner, users)),
        DeValue::String(text) if names_a_user(text, ADDRESSES.contains(&key)) => {
            let user = text.rsplit_once('@').map(|(user, _)| user.to_owned());
            users.extend(user.filter(|user| !user.is_empty()));
        }
        _ => {}
    }
}
