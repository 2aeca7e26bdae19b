//! Tables and lists of fields for people. Every cell is escaped here, so that no caller can forget to.

use std::borrow::Cow;
use std::io::Write;

use comfy_table::{Cell, Table, presets};
use serde_json::Value;

use super::escape::{cell, one_line};
use super::failure::Failure;

/// Shown where there is nothing.
pub(crate) const NOTHING: &str = "-";

/// Writes a table without borders; columns are as wide as their widest cell. The last one is never cut: nothing stands
/// behind it, and it is where reasons are.
pub(crate) fn write_table(
    out: &mut (dyn Write + Send),
    header: &[&str],
    rows: Vec<Vec<String>>,
) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table.set_header(header.iter().map(Cell::new));
    for row in rows {
        let shown = |(column, text): (usize, &String)| match column + 1 == header.len() {
            true => Cell::new(one_line(text)),
            false => Cell::new(cell(text)),
        };
        table.add_row(row.iter().enumerate().map(shown));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(())
}

/// A name that is longer does not move the values of all others.
const MAX_NAME: usize = 32;

/// Writes one field a line, values below each other; fields without a value are left out.
pub(crate) fn write_fields(
    out: &mut (dyn Write + Send),
    fields: &[(Cow<'_, str>, Option<String>)],
) -> Result<(), Failure> {
    let there = fields
        .iter()
        .filter_map(|(name, value)| Some((one_line(name), one_line(value.as_ref()?))));
    let there: Vec<_> = there.collect();
    let widths = there.iter().map(|(name, _)| name.chars().count());
    let width = widths.filter(|width| *width <= MAX_NAME).max().unwrap_or(0);
    for (name, value) in there {
        writeln!(out, "{name:width$}  {value}")?;
    }
    Ok(())
}

/// The member `key` as text: strings as they are, numbers in digits; `None` for null and nothing.
pub(crate) fn text(value: &Value, key: &str) -> Option<String> {
    match value.get(key)? {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

/// As [`text`], with a dash for nothing.
pub(crate) fn text_or_dash(value: &Value, key: &str) -> String {
    text(value, key).unwrap_or_else(|| NOTHING.to_owned())
}

/// The member `key`, a list; empty if it is none.
pub(crate) fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}
