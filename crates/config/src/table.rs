//! A strict table: it remembers what was asked for, and whatever is left over is an error.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::document::{Finding, Kind, Reader};
use crate::names::{join, nearest, quoted};
use crate::sensitive;
use crate::value::{FromToml, Location, Value};

/// A strict table of the file.
///
/// Keys that were asked for are remembered; every other key is an error. Take all keys before the first `?`, then call
/// [`Table::finish`]: so every error is found in one run. A reader that gives up right after a failed key is believed
/// not to have come to its other keys: then only likely misspellings of missing keys are reported as unknown.
pub struct Table<'d> {
    reader: &'d Reader<'d>,
    entries: &'d DeTable<'d>,
    /// The table's header, or its braces; empty for the root.
    header: Range<usize>,
    path: String,
    known: Vec<String>,
    /// Keys that are taken without being allowed.
    refused: Vec<String>,
    /// Required keys that are not there; reported at the end, unless a misspelling explains them.
    missing: Vec<Finding>,
    /// The last thing that was asked for failed: the reader may be about to give up.
    last_failed: bool,
    /// Nothing can be left over any more: reported already, or all taken by [`Table::rest`].
    finished: bool,
}

// === impl Table ===

impl<'d> Table<'d> {
    pub(crate) fn new(
        reader: &'d Reader<'d>,
        entries: &'d DeTable<'d>,
        header: Range<usize>,
        path: String,
    ) -> Self {
        Self {
            reader,
            entries,
            header,
            path,
            known: Vec::new(),
            refused: Vec::new(),
            missing: Vec::new(),
            last_failed: false,
            finished: false,
        }
    }

    /// The value of a key that must be there. `None` if it is missing or wrong; the error is recorded.
    pub fn required<T: FromToml>(&mut self, key: &str) -> Option<T> {
        self.required_such_as(key, &T::example())
    }

    /// The same, with an example of this very key as TOML, for who left it out; empty if there is nothing short to show.
    pub fn required_such_as<T: FromToml>(&mut self, key: &str, example: &str) -> Option<T> {
        if self.has(key) {
            return self.optional(key);
        }
        self.ask(key);
        let help = match example {
            "" => format!("it takes {}", T::EXPECTED),
            example => format!("it takes {}: `{} = {example}`", T::EXPECTED, quoted(key)),
        };
        self.push_missing(key, help);
        None
    }

    /// The value of a key that may be absent. `None` if it is absent or wrong; an error is recorded if it is wrong.
    pub fn optional<T: FromToml>(&mut self, key: &str) -> Option<T> {
        let value = self.ask(key)?.read();
        self.last_failed = value.is_none();
        value
    }

    /// The value of a key, or `default` if it is absent or wrong; an error is recorded if it is wrong.
    pub fn or<T: FromToml>(&mut self, key: &str, default: T) -> T {
        self.optional(key).unwrap_or(default)
    }

    /// A sub-table that may be absent.
    pub fn section<T>(
        &mut self,
        key: &str,
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> Option<T> {
        let result = self.ask(key)?.section(read);
        self.last_failed = result.is_none();
        result
    }

    /// All tables `[key.NAME]`, in file order, without those whose reader gave up.
    pub fn sections<T>(
        &mut self,
        key: &str,
        mut read: impl FnMut(&str, &mut Table<'_>) -> Option<T>,
    ) -> Vec<T> {
        let Some(parent) = self.ask(key) else {
            return Vec::new();
        };
        let Some(entries) = parent.entries() else {
            let message = format!(
                "wrong value for `{}`: this is {}",
                join(&self.path, key),
                parent.kind_name()
            );
            parent.push(
                message,
                Some(format!(
                    "expected tables `[{}.NAME]`",
                    join(&self.path, key)
                )),
            );
            return Vec::new();
        };
        entries
            .into_iter()
            .filter_map(|(name, value)| value.section(|table| read(name, table)))
            .collect()
    }

    /// A string out of a closed set. With a default the key may be absent; without one it must be there.
    pub fn one_of<T: Copy>(
        &mut self,
        key: &str,
        allowed: &[(&str, T)],
        default: Option<T>,
    ) -> Option<T> {
        let listed = allowed
            .iter()
            .map(|(name, _)| format!("\"{name}\""))
            .collect::<Vec<_>>()
            .join(", ");
        let Some(value) = self.ask(key) else {
            if default.is_none() {
                self.push_missing(key, format!("allowed: {listed}"));
            }
            return default;
        };
        let found = value
            .as_str()
            .and_then(|text| allowed.iter().find(|(name, _)| *name == text));
        if let Some((_, known)) = found {
            return Some(*known);
        }
        let path = join(&self.path, key);
        match value.as_str() {
            Some(text) => {
                let help = suggestion(text, allowed.iter().map(|(name, _)| *name));
                value.push(
                    format!("unknown value `{text}` for `{path}`"),
                    Some(format!("{help}allowed: {listed}")),
                );
            }
            None => {
                let message = format!("wrong value for `{path}`: this is {}", value.kind_name());
                value.push(message, Some(format!("allowed: {listed}")));
            }
        }
        self.last_failed = true;
        default
    }

    /// Takes a key that has no meaning here, and says why, if it is there.
    pub fn refuse(&mut self, key: &str, message: impl Into<String>, help: Option<String>) {
        if self.has(key) {
            self.refused.push(key.to_owned());
            self.error(key, message, help);
        }
    }

    /// Records an error of meaning at a key's value, or at the table's header if the key is absent.
    pub fn error(&mut self, key: &str, message: impl Into<String>, help: Option<String>) {
        let at = self.location(key);
        self.error_at(&at, message, help);
    }

    /// Records an error of meaning at a place kept earlier, in this table or any other of the same file.
    pub fn error_at(&mut self, at: &Location, message: impl Into<String>, help: Option<String>) {
        self.last_failed = true;
        let (span, path) = (at.span.clone(), at.path.clone());
        self.reader.push(Finding {
            kind: Kind::Meaning,
            span,
            path,
            message: message.into(),
            help,
        });
    }

    /// Keeps what is at that place out of all errors: a value that may be a secret, under a name that does not say so.
    pub fn conceal_at(&mut self, at: &Location) {
        self.reader.conceal(at.span.clone());
    }

    /// The dotted path of this table; empty for the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the key is there. Asking does not take it.
    pub fn has(&self, key: &str) -> bool {
        self.entries.contains_key(key)
    }

    /// Where the key's value is, or the table's header if the key is absent.
    pub fn location(&self, key: &str) -> Location {
        let span = self
            .entries
            .get(key)
            .map_or_else(|| self.header.clone(), Spanned::span);
        let path = if key.is_empty() {
            self.path.clone()
        } else {
            join(&self.path, key)
        };
        Location::new(self.reader, span, path)
    }

    /// Says that every key has been asked for: all others are reported as unknown now.
    pub fn finish(&mut self) {
        if !std::mem::replace(&mut self.finished, true) {
            self.report_unknown(|_| true);
        }
        for finding in self.missing.drain(..) {
            self.reader.push(finding);
        }
    }

    /// Runs `read` over this table and reports what is left.
    pub(crate) fn run<T>(mut self, read: impl FnOnce(&mut Table<'_>) -> Option<T>) -> Option<T> {
        let result = read(&mut self);
        if result.is_none() && self.last_failed && !self.finished {
            let missing: Vec<String> = self
                .missing
                .iter()
                .map(|finding| finding.path.clone())
                .collect();
            let path = self.path.clone();
            self.report_unknown(|near| missing.contains(&join(&path, near)));
            self.finished = true;
        }
        self.finish();
        result
    }

    /// Everything not asked for so far, in file order; nothing is left over after this.
    pub(crate) fn take_rest(&mut self) -> Vec<(&'d str, Value<'d>)> {
        self.finished = true;
        let left = self.left_over().into_iter();
        left.map(|(key, item)| {
            let name: &'d str = key.get_ref();
            (name, Value::new(self.reader, item, join(&self.path, name)))
        })
        .collect()
    }

    fn ask(&mut self, key: &str) -> Option<Value<'d>> {
        self.last_failed = false;
        if !self.known.iter().any(|known| known == key) {
            self.known.push(key.to_owned());
        }
        let item = self.entries.get(key)?;
        Some(Value::new(self.reader, item, join(&self.path, key)))
    }

    fn push_missing(&mut self, key: &str, help: String) {
        self.last_failed = true;
        let message = format!("missing key `{}`", quoted(key));
        let (span, path) = (self.header.clone(), join(&self.path, key));
        self.missing.push(Finding {
            kind: Kind::Missing,
            span,
            path,
            message,
            help: Some(help),
        });
    }

    fn left_over(
        &self,
    ) -> Vec<(
        &'d Spanned<toml::de::DeString<'d>>,
        &'d Spanned<DeValue<'d>>,
    )> {
        let entries = self.entries.iter();
        let mut left: Vec<_> = entries
            .filter(|(key, _)| {
                let mut taken = self.known.iter().chain(&self.refused);
                !taken.any(|taken| taken == key.get_ref())
            })
            .collect();
        left.sort_by_key(|(key, _)| key.span().start);
        left
    }

    /// A value is not shown if its key may be a misspelt one whose value is a secret.
    fn conceal_if_misspelt(&self, name: &str, item: &Spanned<DeValue<'_>>) {
        let known = self.known.iter().map(String::as_str);
        if nearest(name, known.filter(|known| sensitive::is_sensitive(known))).is_some() {
            for span in sensitive::spans_of(item) {
                self.reader.conceal(span);
            }
        }
    }

    /// Reports keys nobody asked for, if `wanted` likes the known key nearest to them (empty: none is near).
    fn report_unknown(&mut self, wanted: impl Fn(&str) -> bool) {
        for (key, item) in self.left_over() {
            let name: &str = key.get_ref();
            self.conceal_if_misspelt(name, item);
            let near = nearest(name, self.known.iter().map(String::as_str))
                .unwrap_or_default()
                .to_owned();
            if !wanted(&near) {
                continue;
            }
            let path = join(&self.path, &near);
            let explains = self
                .missing
                .iter()
                .position(|finding| !near.is_empty() && finding.path == path);
            let hint = match explains {
                Some(at) => {
                    self.missing.remove(at);
                    format!("did you mean `{near}`, which is missing? ")
                }
                None if near.is_empty() => String::new(),
                None => format!("did you mean `{near}`? "),
            };
            let allowed = if self.known.is_empty() {
                "no keys are allowed here".to_owned()
            } else {
                format!("allowed here: {}", self.known.join(", "))
            };
            self.reader.push(Finding {
                kind: Kind::Unknown,
                span: key.span(),
                path: join(&self.path, name),
                message: format!("unknown key `{}`", quoted(name)),
                help: Some(format!("{hint}{allowed}")),
            });
        }
    }
}

fn suggestion<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known).map_or_else(String::new, |near| format!("did you mean \"{near}\"? "))
}
