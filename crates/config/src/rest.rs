//! Pass-through properties: all keys of a table that nobody asked for by name, dotted.

use std::collections::HashMap;

use crate::secret::SecretRef;
use crate::table::Table;
use crate::value::{Location, Value};

/// The value of one pass-through property.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The text of a string, integer or boolean; empty if `secret` is set.
    pub text: String,
    /// Set if the property is `{ env = "NAME" }` or `{ file = "path" }`.
    pub secret: Option<SecretRef>,
    /// Where the value is, for [`Table::error_at`].
    pub location: Location,
}

// === impl Table ===

impl Table<'_> {
    /// Takes all remaining keys, in file order; names are dotted, however they were written: `a.b = 1`, `"a.b" = 1`
    /// and a sub-table `a` are the same. Values that are no string, integer, boolean or secret, and properties given
    /// twice, are recorded as errors. Checking the names is up to the caller.
    pub fn rest(&mut self) -> Vec<(String, Scalar)> {
        let mut properties = Properties::default();
        for (key, value) in self.take_rest() {
            properties.flatten(key.to_owned(), &value);
        }
        properties.taken
    }

    /// The same of a table in which names have no parts, such as variables: a sub-table can only be a secret.
    pub fn named_values(&mut self) -> Vec<(String, Scalar)> {
        let mut properties = Properties::default();
        for (key, value) in self.take_rest() {
            properties.add(key.to_owned(), &value);
        }
        properties.taken
    }
}

#[derive(Default)]
struct Properties {
    taken: Vec<(String, Scalar)>,
    /// The line on which each property is given first.
    lines: HashMap<String, usize>,
}

impl Properties {
    fn flatten(&mut self, name: String, value: &Value<'_>) {
        let Some(entries) = value.entries() else {
            return self.add(name, value);
        };
        let is_secret = !entries.is_empty()
            && entries
                .iter()
                .all(|(key, _)| matches!(*key, "env" | "file"));
        if is_secret {
            return self.add(name, value);
        }
        for (key, inner) in entries {
            self.flatten(format!("{name}.{key}"), &inner);
        }
    }

    fn add(&mut self, name: String, value: &Value<'_>) {
        let location = value.location();
        if let Some(line) = self.lines.get(&name) {
            value.push(
                format!("duplicate property `{name}`"),
                Some(format!("it is given first on line {line}")),
            );
            return;
        }
        self.lines.insert(name.clone(), location.line);
        if value.is_table() {
            if let Some(secret) = value.read() {
                self.taken.push((
                    name,
                    Scalar {
                        text: String::new(),
                        secret: Some(secret),
                        location,
                    },
                ));
            }
            return;
        }
        match scalar_text(value) {
            Some(text) => self.taken.push((
                name,
                Scalar {
                    text,
                    secret: None,
                    location,
                },
            )),
            None => {
                let message = format!(
                    "wrong value for `{}`: this is {}",
                    location.path,
                    value.kind_name()
                );
                value.push(
                    message,
                    Some("expected a string, an integer or a boolean".to_owned()),
                );
            }
        }
    }
}

fn scalar_text(value: &Value<'_>) -> Option<String> {
    let text = value.as_str().map(str::to_owned);
    let text = text.or_else(|| value.as_wide_int().map(|number| number.to_string()));
    text.or_else(|| value.as_bool().map(|flag| flag.to_string()))
}
