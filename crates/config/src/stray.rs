//! Text of a file that is in no value: it is not TOML, or a key said again. No tree knows what of it is a secret, so
//! that only what cannot be the value of anything is shown: the name of a table, and the key that a line begins with.

use std::collections::BTreeSet;

use crate::document::{Document, Finding, Kind};
use crate::sensitive::is_sensitive_line;

/// How the parser begins to complain about a line without `=`, where it wanted one.
pub(crate) const NO_VALUE: &str = "key with no value";

/// Which lines have such text.
#[derive(Default)]
pub(crate) struct Strays {
    /// Where the lines start that the parser complained about, by byte offsets.
    lines: BTreeSet<usize>,
    /// What the parser complained about first. Until there it has understood everything.
    first: Option<usize>,
    /// The first complaint was that `=` is missing: what is before it on its line is a key.
    wants_value: bool,
}

// === impl Strays ===

impl Strays {
    /// Of all that was found, before any of it is left out.
    pub(crate) fn new(document: &Document, findings: &[Finding]) -> Self {
        let mut strays = Self::default();
        for finding in findings {
            let is_syntax = finding.kind == Kind::Syntax;
            if !is_syntax && finding.kind != Kind::Duplicate {
                continue;
            }
            let at = finding.span.start;
            strays.lines.insert(document.line_start(at));
            if is_syntax && strays.first.is_none_or(|first| at < first) {
                strays.first = Some(at);
                strays.wants_value = finding.message.contains(NO_VALUE);
            }
        }
        strays
    }

    /// How much of a line may be shown, in bytes; `start` is its offset in the file.
    pub(crate) fn shown(&self, line: &str, start: usize) -> usize {
        if self.lines.is_empty() {
            return line.len();
        }
        let indent = line.len() - line.trim_start().len();
        let shown = indent + self.name(&line[indent..], start + indent);
        // A line that begins with no key may be the rest of a value that began before.
        let hides = self.lines.contains(&start) || shown == indent || is_sensitive_line(line);
        let is_empty = |c: char| c.is_whitespace() || matches!(c, '[' | ']' | '{' | '}' | ',');
        if !hides || line[shown..].chars().all(is_empty) {
            return line.len();
        }
        shown
    }

    /// The length of the table's name or of the key at the start of `text`, with what separates it; 0 if there is none.
    fn name(&self, text: &str, start: usize) -> usize {
        let blank = |text: &str| text.len() - text.trim_start().len();
        if text.starts_with('[') {
            let is_name = |c: char| is_bare(c) || matches!(c, '[' | ']');
            let name = text.len() - text.trim_start_matches(is_name).len();
            return name + blank(&text[name..]);
        }
        let key = key(text);
        let gap = blank(&text[key..]);
        if key == 0 {
            return 0;
        }
        let value_at = |at: usize| at + blank(&text[at..]);
        let after = &text[key + gap..];
        match after.as_bytes() {
            // `x==` and `x=` may be the end of some Base64.
            [b'=', b'=', ..] => 0,
            [b'=', value @ ..] if gap > 0 || !value.trim_ascii().is_empty() => {
                value_at(key + gap + 1)
            }
            // Not `user:password`.
            [b':', next, ..] if next.is_ascii_whitespace() => value_at(key + gap + 1),
            _ if self.wants_value && gap > 0 && self.first == Some(start + key + gap) => key + gap,
            _ => 0,
        }
    }
}

/// The length of the key, as TOML writes it, at the start of `text`.
fn key(text: &str) -> usize {
    let mut length = 0;
    loop {
        let rest = &text[length..];
        length += match rest.chars().next() {
            Some(quote @ ('"' | '\'')) => match rest[1..].find(quote) {
                Some(inside) => inside + 2,
                None => return 0,
            },
            Some(c) if is_bare(c) => c.len_utf8(),
            _ => return length,
        };
    }
}

fn is_bare(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.')
}
