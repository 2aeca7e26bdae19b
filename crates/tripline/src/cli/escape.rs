//! Makes foreign text safe to show: what a function prints or a client sends must never steer the reader's terminal.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::Value;
use unicode_width::UnicodeWidthChar as _;

/// Most columns of foreign text shown in a table cell that another follows.
const CELL_COLUMNS: usize = 80;

/// `text` with every character that could steer a terminal or reorder what is read replaced by its escape, such as
/// `\u{1b}`. Tabs and line ends are escaped too: the result is one line.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    escape(text, |_| false)
}

/// As [`one_line`], cut to what fits a table.
pub(crate) fn cell(text: &str) -> String {
    let shown = one_line(text);
    let mut columns = 0;
    let too_far = |c: char| {
        columns += c.width().unwrap_or(0);
        columns > CELL_COLUMNS
    };
    match shown.find(too_far) {
        Some(end) => format!("{}…", &shown[..end]),
        None => shown.into_owned(),
    }
}

/// Bytes of a log line for a terminal: tabs stay, invalid UTF-8 shows as `\xff`, all else as [`one_line`].
pub(crate) fn log_text(bytes: &[u8]) -> String {
    bytes_with(bytes, |c| c == '\t')
}

/// Bytes of a whole result for a terminal: as [`log_text`], and lines stay lines.
pub(crate) fn document(bytes: &[u8]) -> String {
    bytes_with(bytes, |c| c == '\t' || c == '\n')
}

/// JSON with the same characters as escapes of JSON: the same value, and nothing that steers a terminal.
pub(crate) fn json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(is_hostile) {
        return text;
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_hostile(c) {
            // None of them needs more than four digits.
            let _ = write!(shown, "\\u{:04x}", u32::from(c));
        } else {
            shown.push(c);
        }
    }
    shown
}

fn bytes_with(bytes: &[u8], keep: fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        shown.push_str(&escape(chunk.valid(), keep));
        for byte in chunk.invalid() {
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

fn escape(text: &str, keep: fn(char) -> bool) -> Cow<'_, str> {
    let hostile = |c: char| is_hostile(c) && !keep(c);
    if !text.contains(hostile) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if hostile(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Control characters (C0, DEL, C1), and the invisible ones that reorder or break lines.
fn is_hostile(c: char) -> bool {
    let invisible = matches!(
        c,
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
    );
    c.is_control() || invisible
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_do_not_reach_the_terminal() {
        assert_eq!(one_line("\x1b]0;owned\x07"), "\\u{1b}]0;owned\\u{7}");
        assert_eq!(one_line("a\r\nb\tc"), "a\\r\\nb\\tc");
        assert_eq!(one_line("\u{9b}31m"), "\\u{9b}31m");
        assert_eq!(one_line("abc\u{202e}fed"), "abc\\u{202e}fed");
        assert_eq!(one_line("größe 日本 🦀"), "größe 日本 🦀");
    }

    #[test]
    fn json_keeps_its_value() {
        let value = serde_json::json!({ "a\u{202e}": "\u{9b}31m\u{7f}\u{2066}\u{1b}\n\"größe 🦀" });
        let shown = json(&value);
        assert!(!shown.contains(is_hostile), "{shown}");
        assert!(shown.contains("größe 🦀"), "{shown}");
        let again: Value = serde_json::from_str(&shown).expect("it is JSON");
        assert_eq!(again, value);
    }

    #[test]
    fn log_lines_keep_tabs_and_documents_keep_lines() {
        assert_eq!(log_text(b"a\tb\nc\x1b[2J"), "a\tb\\nc\\u{1b}[2J");
        assert_eq!(document(b"a\tb\nc\x00"), "a\tb\nc\\u{0}");
        assert_eq!(log_text(b"ok\xff\xfe"), "ok\\xff\\xfe");
    }

    #[test]
    fn cells_are_cut() {
        assert_eq!(cell("short"), "short");
        let long = cell(&"é".repeat(100));
        assert_eq!(long.chars().count(), 81);
        assert!(long.ends_with('…'));
        assert_eq!(cell(&"日".repeat(40)), "日".repeat(40));
        assert_eq!(cell(&"日".repeat(41)), "日".repeat(40) + "…");
    }
}
