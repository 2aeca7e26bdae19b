//! The line an error is on, safe to print: hostile characters made visible, secrets hidden, long lines cut, and a
//! marker under the offending text.

use std::ops::Range;

use crate::stray::Strays;

/// The widest excerpt, in columns of a terminal.
const MAX_COLUMNS: usize = 120;

/// How much of a cut line is kept before the marked text, in columns.
const COLUMNS_BEFORE: usize = 40;

/// Stands for a secret, however long it is.
pub(crate) const HIDDEN: &str = "***";

const CUT: &str = "…";

/// A line of the file with its marked part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Excerpt {
    line: String,
    marker: String,
}

/// What an excerpt must not show.
pub(crate) struct Concealed {
    /// Spans of the file that hold secrets.
    pub(crate) spans: Vec<Range<usize>>,
    /// Lines with text that is in no value, so that `spans` does not know it.
    pub(crate) strays: Strays,
}

/// A piece of the line as it is printed: usually one character, or a whole hidden secret.
struct Piece {
    text: String,
    width: usize,
    marked: bool,
}

/// Makes characters visible that would change how the rest of the text is shown: controls, escapes, direction marks,
/// and characters without any shape.
pub(crate) fn visible(text: &str) -> String {
    text.chars()
        .fold(String::with_capacity(text.len()), |mut shown, c| {
            push_visible(&mut shown, c);
            shown
        })
}

// === impl Excerpt ===

impl Excerpt {
    /// `start` is the byte offset of `line` in the file; `marked` and `concealed` are spans of the file.
    pub(crate) fn new(
        line: &str,
        start: usize,
        marked: &Range<usize>,
        concealed: &Concealed,
    ) -> Self {
        let end = start + line.len();
        let mut hidden: Vec<Range<usize>> = concealed
            .spans
            .iter()
            .filter(|span| span.start < end && span.end > start)
            .cloned()
            .collect();
        hidden.push(start + concealed.strays.shown(line, start)..end);
        cut(pieces(line, start, marked, &hidden))
    }

    pub(crate) fn line(&self) -> &str {
        &self.line
    }

    pub(crate) fn marker(&self) -> &str {
        &self.marker
    }
}

fn pieces(line: &str, start: usize, marked: &Range<usize>, hidden: &[Range<usize>]) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    let mut inside_hidden = false;
    for (at, c) in line.char_indices() {
        let at = start + at;
        let is_marked = marked.contains(&at);
        let was_hidden = inside_hidden;
        inside_hidden = hidden.iter().any(|span| span.contains(&at));
        match pieces.last_mut().filter(|_| inside_hidden && was_hidden) {
            Some(secret) => secret.marked |= is_marked,
            None => {
                let mut text = String::new();
                if inside_hidden {
                    text.push_str(HIDDEN)
                } else {
                    push_visible(&mut text, c)
                }
                let width = if text.starts_with(c) {
                    char_width(c)
                } else {
                    text.chars().count()
                };
                pieces.push(Piece {
                    text,
                    width,
                    marked: is_marked,
                });
            }
        }
    }
    // An error at the end of the line, or with nothing to mark, still gets its one caret.
    if !pieces.iter().any(|piece| piece.marked) {
        let at = line
            .get(..marked.start.saturating_sub(start))
            .map_or(usize::MAX, |before| before.chars().count());
        match pieces.get_mut(at) {
            Some(piece) => piece.marked = true,
            None => pieces.push(Piece {
                text: String::new(),
                width: 1,
                marked: true,
            }),
        }
    }
    pieces
}

fn cut(pieces: Vec<Piece>) -> Excerpt {
    let total: usize = pieces.iter().map(|piece| piece.width).sum();
    let before: usize = pieces
        .iter()
        .take_while(|piece| !piece.marked)
        .map(|piece| piece.width)
        .sum();
    let skip = if total <= MAX_COLUMNS || before <= MAX_COLUMNS / 2 {
        0
    } else {
        before - COLUMNS_BEFORE
    };
    let (mut line, mut marker) = (String::new(), String::new());
    let (mut at, mut printed) = (0, 0);
    if skip > 0 {
        line.push_str(CUT);
        marker.push(' ');
        printed = 1;
    }
    for piece in pieces {
        at += piece.width;
        if at <= skip {
            continue;
        }
        if printed + piece.width >= MAX_COLUMNS && total - at + piece.width > MAX_COLUMNS - printed
        {
            line.push_str(CUT);
            break;
        }
        printed += piece.width;
        line.push_str(&piece.text);
        marker.push_str(&if piece.marked { "^" } else { " " }.repeat(piece.width));
    }
    Excerpt {
        line,
        marker: marker.trim_end().to_owned(),
    }
}

fn push_visible(shown: &mut String, c: char) {
    match c {
        '\t' => shown.push_str("    "),
        c if is_hazardous(c) => shown.extend(c.escape_unicode()),
        c => shown.push(c),
    }
}

/// Whether text of others is not what it seems with this in it: controls, direction marks, characters without a shape,
/// and separators that end a line in some programs.
pub fn is_hazardous(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

/// Columns a character takes in a terminal, near enough to put a caret under it.
fn char_width(c: char) -> usize {
    match c {
        '\t' => 4,
        '\u{300}'..='\u{36f}'
        | '\u{483}'..='\u{489}'
        | '\u{591}'..='\u{5bd}'
        | '\u{64b}'..='\u{65f}'
        | '\u{1ab0}'..='\u{1aff}'
        | '\u{1dc0}'..='\u{1dff}'
        | '\u{20d0}'..='\u{20ff}'
        | '\u{fe20}'..='\u{fe2f}' => 0,
        '\u{1100}'..='\u{115f}'
        | '\u{2e80}'..='\u{303e}'
        | '\u{3041}'..='\u{a4cf}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{f900}'..='\u{faff}'
        | '\u{fe30}'..='\u{fe6f}'
        | '\u{ff00}'..='\u{ff60}'
        | '\u{ffe0}'..='\u{ffe6}'
        | '\u{1f300}'..='\u{1f64f}'
        | '\u{1f680}'..='\u{1f6ff}'
        | '\u{1f900}'..='\u{1faff}'
        | '\u{20000}'..='\u{3fffd}' => 2,
        _ => 1,
    }
}
