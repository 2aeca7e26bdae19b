//! One value of the file, the places errors point at, and the trait that turns a value into a Rust type.

use std::ops::Range;

use toml::Spanned;
use toml::de::DeValue;

use crate::document::{Finding, Kind, Reader};
use crate::names::join;
use crate::sensitive;
use crate::table::Table;

/// A type that one TOML value can be read as.
pub trait FromToml: Sized {
    /// What is expected, in a form that fits after "expected": `"a duration"`.
    const EXPECTED: &'static str;

    /// How it is written, as TOML: `"\"30s\""`. Empty when there is nothing short to show.
    const EXAMPLE: &'static str = "";

    /// Reads the value.
    ///
    /// # Errors
    /// Why the value is wrong, without repeating what is expected: the reader adds that, and the place. Never repeat a
    /// secret. An empty text means that the reason was already recorded, by [`Value::read`] or [`Value::section`].
    fn from_toml(value: &Value<'_>) -> Result<Self, String>;

    /// [`FromToml::EXPECTED`] with its example, for error texts.
    fn expected() -> String {
        match Self::example() {
            example if example.is_empty() => Self::EXPECTED.to_owned(),
            example => format!("{}, e.g. {example}", Self::EXPECTED),
        }
    }

    /// [`FromToml::expected`] for who wrote `value` instead: the example may be made out of it.
    fn expected_for(_value: &Value<'_>) -> String {
        Self::expected()
    }

    /// [`FromToml::EXAMPLE`], for types whose example is made from another's.
    fn example() -> String {
        Self::EXAMPLE.to_owned()
    }
}

/// A place in the file, for errors that are found later or need two places (duplicate routes).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
    /// The dotted path of the key: `triggers.orders.topics`.
    pub path: String,
    pub(crate) span: Range<usize>,
}

/// One value of the file.
pub struct Value<'v> {
    reader: &'v Reader<'v>,
    item: &'v Spanned<DeValue<'v>>,
    path: String,
}

// === impl Location ===

impl Location {
    pub(crate) fn new(reader: &Reader<'_>, span: Range<usize>, path: String) -> Self {
        let (line, column) = reader.document().position(span.start);
        Self {
            line,
            column,
            path,
            span,
        }
    }
}

// === impl Value ===

impl<'v> Value<'v> {
    pub(crate) fn new(
        reader: &'v Reader<'v>,
        item: &'v Spanned<DeValue<'v>>,
        path: String,
    ) -> Self {
        Self { reader, item, path }
    }

    /// The text, if this is a string.
    pub fn as_str(&self) -> Option<&str> {
        self.item.get_ref().as_str()
    }

    /// The number, if this is an integer that fits.
    pub fn as_int(&self) -> Option<i64> {
        self.as_wide_int()
            .and_then(|number| i64::try_from(number).ok())
    }

    /// The flag, if this is a boolean.
    pub fn as_bool(&self) -> Option<bool> {
        self.item.get_ref().as_bool()
    }

    /// The items, if this is an array.
    pub fn as_array(&self) -> Option<Vec<Value<'_>>> {
        let items = self.item.get_ref().as_array()?.iter().enumerate();
        Some(
            items
                .map(|(at, item)| Value::new(self.reader, item, format!("{}[{at}]", self.path)))
                .collect(),
        )
    }

    /// Whether this is a table.
    pub fn is_table(&self) -> bool {
        self.item.get_ref().is_table()
    }

    /// What this is, with its article: "a string", "an integer".
    pub fn kind_name(&self) -> &'static str {
        match self.item.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        }
    }

    /// Reads this value as a `T`. If it is wrong, the error is recorded at this very value.
    pub fn read<T: FromToml>(&self) -> Option<T> {
        match T::from_toml(self) {
            Ok(value) => Some(value),
            Err(why) if why.is_empty() => None,
            Err(why) => {
                let message = format!("wrong value for `{}`: {why}", self.path);
                self.push(message, Some(format!("expected {}", T::expected_for(self))));
                None
            }
        }
    }

    /// Reads this value as a strict table; `None` if it is none, or if `read` gave up. The reason is recorded.
    pub fn section<T>(&self, read: impl FnOnce(&mut Table<'_>) -> Option<T>) -> Option<T> {
        let Some(entries) = self.item.get_ref().as_table() else {
            let message = format!(
                "wrong value for `{}`: this is {}",
                self.path,
                self.kind_name()
            );
            self.push(message, Some("expected a table".to_owned()));
            return None;
        };
        Table::new(self.reader, entries, self.item.span(), self.path.clone()).run(read)
    }

    /// Where this value is.
    pub fn location(&self) -> Location {
        Location::new(self.reader, self.item.span(), self.path.clone())
    }

    pub(crate) fn as_wide_int(&self) -> Option<i128> {
        let integer = self.item.get_ref().as_integer()?;
        i128::from_str_radix(integer.as_str(), integer.radix()).ok()
    }

    pub(crate) fn as_float(&self) -> Option<f64> {
        self.item.get_ref().as_float()?.as_str().parse().ok()
    }

    /// The entries of a table in file order.
    pub(crate) fn entries(&self) -> Option<Vec<(&'v str, Value<'v>)>> {
        let entries = self.item.get_ref().as_table()?.iter();
        let mut entries: Vec<_> = entries.collect();
        entries.sort_by_key(|(key, _)| key.span().start);
        let named = entries.into_iter().map(|(key, item)| {
            let name: &str = key.get_ref();
            (name, Value::new(self.reader, item, join(&self.path, name)))
        });
        Some(named.collect())
    }

    /// Whether this may be repeated in a message: nothing about it says that it is a secret.
    pub(crate) fn may_be_repeated(&self) -> bool {
        let is_address = self.as_str().is_some_and(|text| text.contains('@'));
        !is_address && !sensitive::is_sensitive_line(&self.path)
    }

    /// The value must not be shown in any error: it is a secret in the wrong place.
    pub(crate) fn conceal(&self) {
        self.reader.conceal(self.item.span());
    }

    pub(crate) fn push(&self, message: String, help: Option<String>) {
        let (span, path) = (self.item.span(), self.path.clone());
        self.reader.push(Finding {
            kind: Kind::Value,
            span,
            path,
            message,
            help,
        });
    }
}
