//! Where a configuration uses its secrets, for those who have to put one there.

use toml::Spanned;
use toml::de::{DeTable, DeValue};
use tripline_config::SecretRef;

/// A secret, and the key that has it: `[triggers.uploads] access_key (line 12)`.
pub(super) type Use = (SecretRef, String);

/// Every use in the text of a configuration, in its order. What is no secret but looks like one (a variable with the
/// name `file`) may be among them.
pub(super) fn uses(text: &str) -> Vec<Use> {
    let mut found = Vec::new();
    if let Ok(root) = DeTable::parse(text) {
        for (key, value) in root.get_ref() {
            look_into(text, &[key.get_ref()], value, &mut found);
        }
    }
    found.sort_by_key(|(at, _)| *at);
    found.into_iter().map(|(_, one)| one).collect()
}

fn look_into(
    text: &str,
    path: &[&str],
    value: &Spanned<DeValue<'_>>,
    found: &mut Vec<(usize, Use)>,
) {
    let Some(table) = value.get_ref().as_table() else {
        return;
    };
    if let Some(reference) = reference(table) {
        let at = value.span().start;
        let line = 1 + text[..at].bytes().filter(|byte| *byte == b'\n').count();
        found.push((at, (reference, format!("{} (line {line})", shown(path)))));
        return;
    }
    for (key, value) in table {
        let path = [path, &[key.get_ref()]].concat();
        look_into(text, &path, value, found);
    }
}

fn reference(table: &DeTable<'_>) -> Option<SecretRef> {
    let mut entries = table.iter();
    let (Some((key, value)), None) = (entries.next(), entries.next()) else {
        return None;
    };
    let value = value.get_ref().as_str()?;
    match key.get_ref().as_ref() {
        "env" => Some(SecretRef::Env(value.to_owned())),
        "file" => Some(SecretRef::File(value.into())),
        _ => None,
    }
}

/// `[functions.bill] env.KEY`: the section as it is written, and the key in it.
fn shown(path: &[&str]) -> String {
    let depth = match path {
        ["functions" | "triggers", ..] => 2,
        _ => 1,
    };
    let (section, key) = path.split_at(depth.min(path.len()));
    let shown = format!("[{}] {}", section.join("."), key.join("."));
    shown.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::Config;
    use crate::kinds::kinds;

    #[test]
    fn a_secret_is_told_with_the_keys_that_use_it() {
        let text = r#"
[functions.f]
command = ["true"]
env = { KEY = { env = "SHARED" }, PLAIN = "env" }
[functions.f.role]
sts = "http://127.0.0.1:1"
access_key = { file = "key" }
secret_key = { env = "SHARED" }
[triggers.t]
kind = "kafka"
function = "f"
topics = ["t"]
"bootstrap.servers" = "127.0.0.1:1"
"security.protocol" = "sasl_plaintext"
"sasl.mechanism" = "PLAIN"
"sasl.username" = "u"
"sasl.password" = { env = "PASSWORD" }
[traces]
endpoint = "http://127.0.0.1:1/"
headers = { authorization = { env = "OTLP" } }
"#;
        let config = Config::read(Path::new("tripline.toml"), text, &kinds());
        let config = config.unwrap_or_else(|errors| panic!("{errors}"));
        let of = |name: &str| config.who_uses(&SecretRef::Env(name.to_owned()));
        assert_eq!(
            of("SHARED"),
            "used by [functions.f] env.KEY (line 4), [functions.f] role.secret_key (line 8)"
        );
        assert_eq!(
            of("PASSWORD"),
            "used by [triggers.t] sasl.password (line 17)"
        );
        assert_eq!(
            of("OTLP"),
            "used by [traces] headers.authorization (line 20)"
        );
        for secret in config.secrets() {
            assert!(config.who_uses(&secret).contains("(line "), "{secret}");
        }
    }
}
