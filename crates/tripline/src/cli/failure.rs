//! What can go wrong in a client command, and the exit code each has.

use std::io;

use serde_json::Value;

use super::escape::one_line;

/// How a client command ended; the number is the exit code of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// Everything was done.
    Done = 0,
    /// The hub refused, or a followed invocation did not succeed; or the hub went away after it was asked to call a
    /// function. That is not [`Self::Unreachable`], after which a script may call again: the event may be accepted.
    Failed = 1,
    /// The command line, a file it names or the config cannot be used.
    Usage = 2,
    /// No hub answers at the address, or none that can be trusted.
    Unreachable = 3,
    /// The hub does not accept the token, or there is none.
    Unauthorised = 4,
}

/// Why a client command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The command line or a file it names cannot be used.
    #[error("{0}")]
    Usage(String),
    /// No hub answers.
    #[error(
        "no hub answers at {url}: {why}\nIs it running? Start it with `tripline serve`, or name its address with --admin URL"
    )]
    Unreachable {
        url: String,
        why: String,
        /// Whether there was a connection: then the hub may have acted on what it was asked.
        was_connected: bool,
    },
    /// Nothing leads to a hub.
    #[error("{0}")]
    NoHub(String),
    /// The hub went away after it was asked to call a function.
    #[error("{0}")]
    Unanswered(String),
    /// What answers cannot show that it is the hub.
    #[error(
        "the certificate of {url} cannot be trusted: {why}\nName who signed it with --ca FILE, and the hub as its \
certificate does with --admin URL"
    )]
    Distrusted { url: String, why: String },
    /// What answers speaks the other of http and https.
    #[error("what answers at {url} does not speak {spoken}; name it as {other}")]
    OtherScheme {
        url: String,
        spoken: &'static str,
        other: String,
    },
    /// No token, or the wrong one.
    #[error("{0}")]
    Unauthorised(String),
    /// The hub answered with a problem.
    #[error("{0}")]
    Refused(String),
    /// The hub answered with a problem of this invocation.
    #[error("{words}")]
    OfRun { words: String, request_id: String },
    /// It has nothing where every admin API has something.
    #[error("there is nothing at this path")]
    NoRoute,
    /// The output cannot be written.
    #[error("the output cannot be written: {0}")]
    Output(#[from] io::Error),
}

// === impl Exit ===

impl Exit {
    /// This code, unless the output could not be written. A reader that goes away early (`tripline check | head -1`) is no
    /// failure.
    pub(crate) fn after_output(self, written: io::Result<()>) -> Self {
        match written {
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Self::Failed,
            _ => self,
        }
    }
}

// === impl Failure ===

impl Failure {
    /// The exit code for this failure. A reader that went away (`tripline ps | head -1`) is no failure.
    pub(crate) fn exit(&self) -> Exit {
        match self {
            Self::Usage(_) => Exit::Usage,
            Self::Unreachable { .. }
            | Self::NoHub(_)
            | Self::Distrusted { .. }
            | Self::OtherScheme { .. } => Exit::Unreachable,
            Self::Unauthorised(_) => Exit::Unauthorised,
            Self::Refused(_) | Self::OfRun { .. } | Self::NoRoute | Self::Unanswered(_) => {
                Exit::Failed
            }
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            Self::Output(_) => Exit::Failed,
        }
    }

    /// What a lost connection means for a call of `function`: whoever calls again must know that it may run twice.
    pub(crate) fn of_call(self, function: &str, key: Option<&str>) -> Self {
        let Self::Unreachable {
            url,
            why,
            was_connected: true,
        } = self
        else {
            return self;
        };
        let again = match key {
            Some(key) => format!("repeat it with the same `--key {}`", shell_word(key)),
            None => "give a `--key` next time to repeat safely".to_owned(),
        };
        Self::Unanswered(format!(
            "the hub at {url} went away before it answered: {why}\nThe event may have been accepted, and may run: look with \
             `tripline ps --function {function}`, or {again}"
        ))
    }

    /// What a lost connection means once the RequestId of a call is known.
    pub(crate) fn of_accepted(self, request_id: &str) -> Self {
        let Self::Unreachable { url, why, .. } = self else {
            return self;
        };
        Self::Unanswered(format!(
            "the hub at {url} went away: {why}\nThe event is accepted: look with `tripline show {request_id}`"
        ))
    }

    /// From an answer that is not a success: reads the problem document, if it is one. Who asked knows where, and with
    /// which token.
    pub(crate) fn from_answer(status: u16, body: &[u8]) -> Self {
        let problem: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let text = |key: &str| problem.get(key).and_then(Value::as_str).map(one_line);
        let title = text("title").unwrap_or_else(|| format!("HTTP {status}").into());
        let mut words = match text("detail") {
            Some(detail) => format!("{title}: {detail}"),
            None => title.into_owned(),
        };
        let id = text("request_id");
        if let Some(id) = &id {
            words.push_str(&format!("\nRequestId: {id}"));
        }
        if text("accepted").as_deref() == Some("unknown") {
            words.push_str("\nWhether the event was accepted is not known");
        }
        if text("type").as_deref() == Some("urn:tripline:unknown_route") {
            Self::NoRoute
        } else if status == 401 || status == 403 {
            Self::Unauthorised(words)
        } else if let Some(id) = id {
            let request_id = id.into_owned();
            Self::OfRun { words, request_id }
        } else {
            Self::Refused(words)
        }
    }
}

/// A word as a shell takes it, to be copied into the next command.
fn shell_word(word: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.:/@%+=,".contains(&b);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

/// Where a token comes from, for people who have the wrong one.
pub(crate) const TOKEN_HELP: &str = "The token is taken from TRIPLINE_TOKEN, --token-file FILE, or admin.token in the \
data directory (--data-dir DIR, --config FILE, ./tripline.toml, ./data)";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_becomes_words_and_a_code() {
        let body = br#"{"title":"Over the limit","detail":"of the hub\u001b[2J","accepted":"no"}"#;
        let failure = Failure::from_answer(429, body);
        assert_eq!(failure.to_string(), "Over the limit: of the hub\\u{1b}[2J");
        assert_eq!(failure.exit(), Exit::Failed);
        let failure = Failure::from_answer(401, b"<html>");
        assert_eq!(failure.to_string(), "HTTP 401");
        assert_eq!(failure.exit(), Exit::Unauthorised);
        let body = br#"{"title":"T","request_id":"r","accepted":"unknown"}"#;
        let words = Failure::from_answer(503, body).to_string();
        assert_eq!(
            words,
            "T\nRequestId: r\nWhether the event was accepted is not known"
        );
    }

    #[test]
    fn a_reader_that_went_away_is_no_failure() {
        let gone = Failure::Output(io::ErrorKind::BrokenPipe.into());
        assert_eq!(gone.exit(), Exit::Done);
        assert_eq!(
            Failure::Output(io::ErrorKind::StorageFull.into()).exit(),
            Exit::Failed
        );
    }
}
