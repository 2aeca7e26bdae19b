//! One configuration file: its text, the places in it, and what was found wrong while reading.

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::ops::Range;

use toml::de::DeTable;

use crate::error::{ConfigError, ConfigErrors};
use crate::excerpt::{Concealed, Excerpt, HIDDEN};
use crate::sensitive;
use crate::stray::{NO_VALUE, Strays};
use crate::table::Table;

/// The largest file that is read, in bytes (4 MiB).
pub const MAX_DOCUMENT_BYTES: usize = 4 * 1024 * 1024;

/// A file with more lines than this that stop the parser is no longer read to its end: each costs one more parsing.
const MAX_DEAD_ENDS: usize = 20;

/// Larger files, in bytes, are parsed only once. No file written by hand is as large.
const MAX_REPARSED_BYTES: usize = 64 * 1024;

/// More errors than this are counted, not shown: a wrong file must not become a wall of text.
const MAX_ERRORS: usize = 100;

/// Findings beyond these are only counted: a hostile file must not fill the memory.
const MAX_FINDINGS: usize = 1000;

/// The longest message or path, in characters: a hostile key may be as long as the file.
const MAX_TEXT_CHARS: usize = 300;

/// One configuration file: the name that errors show, and its text.
#[derive(Clone)]
pub struct Document {
    name: String,
    text: String,
    /// Byte offset of the first character of each line.
    line_starts: Vec<usize>,
}

/// What kind of thing is wrong: after a syntax error only some kinds can be trusted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// The text is not TOML; what follows it may be misread.
    Syntax,
    /// The same key twice; the rest of the file is read as usual.
    Duplicate,
    /// A value of the wrong type or form.
    Value,
    /// A key that nobody asked for.
    Unknown,
    /// A key that must be there and is not.
    Missing,
    /// Said by the caller, perhaps by looking at other tables.
    Meaning,
}

/// One thing that is wrong, by byte offsets.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Finding {
    pub(crate) kind: Kind,
    pub(crate) span: Range<usize>,
    pub(crate) path: String,
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

/// What all tables of one reading share.
pub(crate) struct Reader<'d> {
    document: &'d Document,
    findings: RefCell<Vec<Finding>>,
    /// How many findings came after [`MAX_FINDINGS`].
    dropped: Cell<usize>,
    /// Spans that hold secrets and must not be shown, wherever an error is.
    concealed: RefCell<Vec<Range<usize>>>,
}

// === impl Document ===

impl Document {
    /// A document whose errors show `name`; `text` is the file's content.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text = text.into();
        let line_starts = if text.len() > MAX_DOCUMENT_BYTES {
            vec![0]
        } else {
            let after_newlines = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
            std::iter::once(0)
                .chain(after_newlines.map(|(at, _)| at + 1))
                .collect()
        };
        Self {
            name: name.into(),
            text,
            line_starts,
        }
    }

    /// Reads the whole file: `read` pulls what it wants out of the root table. Ok only if nothing at all was wrong.
    pub fn read<T>(
        &self,
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> Result<T, ConfigErrors> {
        if self.text.len() > MAX_DOCUMENT_BYTES {
            return Err(self.too_large());
        }
        let reader = Reader {
            document: self,
            findings: RefCell::default(),
            dropped: Cell::default(),
            concealed: RefCell::default(),
        };
        let whole = self.without_dead_ends(&reader);
        let (root, syntax) = DeTable::parse_recoverable(&whole);
        for error in &syntax {
            reader.push_syntax(error);
        }
        let result = Table::new(&reader, root.get_ref(), 0..0, String::new()).run(read);
        reader
            .concealed
            .borrow_mut()
            .extend(sensitive::spans(root.get_ref()));
        reader.forget(&sensitive::users(root.get_ref()));
        reader.into_result(result)
    }

    /// Line and column, both from 1, of a byte offset; columns count characters.
    pub(crate) fn position(&self, offset: usize) -> (usize, usize) {
        let offset = self.text.floor_char_boundary(offset);
        let line = self.line_starts.partition_point(|start| *start <= offset);
        let start = self.line_starts[line - 1];
        (line, self.text[start..offset].chars().count() + 1)
    }

    /// The byte offset at which the line with this one starts.
    pub(crate) fn line_start(&self, offset: usize) -> usize {
        self.line_starts[self.position(offset).0 - 1]
    }

    /// The text of a line (from 1) without its end, and the byte offset where it starts.
    fn line(&self, number: usize) -> (&str, usize) {
        let start = self.line_starts[number - 1];
        let end = self
            .line_starts
            .get(number)
            .copied()
            .unwrap_or(self.text.len());
        let line = &self.text[start..end];
        (
            line.strip_suffix('\n')
                .map_or(line, |line| line.strip_suffix('\r').unwrap_or(line)),
            start,
        )
    }

    /// The text without the lines that stop the parser for good, so that it shows what is wrong after them, too. Each
    /// such line is recorded, and blanked out: all other places stay where they are.
    fn without_dead_ends(&self, reader: &Reader<'_>) -> Cow<'_, str> {
        let mut text = Cow::Borrowed(self.text.as_str());
        let rounds = if self.text.len() > MAX_REPARSED_BYTES {
            0
        } else {
            MAX_DEAD_ENDS
        };
        for _ in 0..rounds {
            let (_, errors) = DeTable::parse_recoverable(&text);
            let stops = |error: &&toml::de::Error| error.message().starts_with(NO_VALUE);
            let Some(dead_end) = errors.iter().find(stops) else {
                break;
            };
            reader.push_syntax(dead_end);
            let (line, _) = self.position(dead_end.span().unwrap_or_default().start);
            let (content, start) = self.line(line);
            text.to_mut()
                .replace_range(start..start + content.len(), &" ".repeat(content.len()));
        }
        text
    }

    fn too_large(&self) -> ConfigErrors {
        let message = "the file is longer than 4 MiB, the most that is read".to_owned();
        let error = ConfigError::new(&self.name, (1, 1), String::new(), message);
        ConfigErrors::new(self.name.clone(), vec![error])
    }
}

// === impl Reader ===

impl Reader<'_> {
    pub(crate) fn push(&self, mut finding: Finding) {
        shorten(&mut finding.path);
        shorten(&mut finding.message);
        let mut findings = self.findings.borrow_mut();
        if findings.len() == MAX_FINDINGS {
            self.dropped.set(self.dropped.get() + 1);
        } else if !findings.contains(&finding) {
            findings.push(finding);
        }
    }

    pub(crate) fn conceal(&self, span: Range<usize>) {
        self.concealed.borrow_mut().push(span);
    }

    /// Takes what no message may repeat out of all that was found.
    fn forget(&self, secrets: &[String]) {
        for finding in self.findings.borrow_mut().iter_mut() {
            let texts = [Some(&mut finding.message), finding.help.as_mut()];
            for text in texts.into_iter().flatten() {
                for secret in secrets {
                    *text = text.replace(secret, HIDDEN);
                    *text = text.replace(&secret.escape_debug().to_string(), HIDDEN);
                }
            }
        }
    }

    pub(crate) fn document(&self) -> &Document {
        self.document
    }

    fn push_syntax(&self, error: &toml::de::Error) {
        let span = error.span().unwrap_or(0..0);
        let is_duplicate = error.message() == "duplicate key";
        let (kind, message, help) = if is_duplicate {
            let key = self.document.text.get(span.clone()).unwrap_or_default();
            let help = "a table has each key once, and each table is written once".to_owned();
            (
                Kind::Duplicate,
                format!("duplicate key `{key}`"),
                Some(help),
            )
        } else {
            (
                Kind::Syntax,
                format!("this is not TOML: {}", error.message()),
                None,
            )
        };
        self.push(Finding {
            kind,
            span,
            path: String::new(),
            message,
            help,
        });
    }

    /// Ok only if nothing was found; what a syntax error makes doubtful is left out.
    fn into_result<T>(self, result: Option<T>) -> Result<T, ConfigErrors> {
        let document = self.document;
        let mut findings = self.findings.into_inner();
        if findings.is_empty() {
            if let Some(value) = result {
                return Ok(value);
            }
            let message = "the file was refused, and no reason was given".to_owned();
            let error = ConfigError::new(&document.name, (1, 1), String::new(), message);
            return Err(ConfigErrors::new(document.name.clone(), vec![error]));
        }
        let concealed = Concealed {
            spans: self.concealed.into_inner(),
            strays: Strays::new(document, &findings),
        };
        let syntax = findings
            .iter()
            .filter(|finding| finding.kind == Kind::Syntax);
        let broken_from = syntax
            .map(|finding| document.position(finding.span.start).0)
            .min();
        if let Some(broken_from) = broken_from {
            let mut lines_seen = Vec::new();
            findings.retain(|finding| {
                let line = document.position(finding.span.start).0;
                match finding.kind {
                    // One slip often confuses the parser several times on the same line.
                    Kind::Syntax if lines_seen.contains(&line) => false,
                    Kind::Syntax => {
                        lines_seen.push(line);
                        true
                    }
                    Kind::Duplicate | Kind::Value | Kind::Unknown => line < broken_from,
                    Kind::Missing | Kind::Meaning => false,
                }
            });
        }
        findings.sort_by_key(|finding| finding.span.start);
        let errors = findings
            .iter()
            .take(MAX_ERRORS)
            .map(|finding| document.error(finding, &concealed))
            .collect();
        let left_out = (findings.len() + self.dropped.get()).saturating_sub(MAX_ERRORS);
        Err(ConfigErrors::new(document.name.clone(), errors)
            .left_out(left_out)
            .broken(broken_from.is_some()))
    }
}

// Private helpers of Document that only a finished reading needs.
impl Document {
    fn error(&self, finding: &Finding, concealed: &Concealed) -> ConfigError {
        let position = self.position(finding.span.start);
        let (line, start) = self.line(position.0);
        let excerpt = Excerpt::new(line, start, &finding.span, concealed);
        ConfigError::new(
            &self.name,
            position,
            finding.path.clone(),
            finding.message.clone(),
        )
        .with_help(finding.help.clone())
        .with_excerpt(excerpt)
    }
}

fn shorten(text: &mut String) {
    if let Some((end, _)) = text.char_indices().nth(MAX_TEXT_CHARS) {
        text.truncate(end);
        text.push('…');
    }
}
