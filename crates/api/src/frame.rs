//! The first and the last lines of a log, in the format of Tencent SCF. They repeat the record of the run, so they are
//! made out of it when somebody reads, and not stored. A run that lost its executor, or its hub, has them, too.

use bytes::Bytes;
use tripline_model::{End, Ending, Invocation, LogLine, LogStream, RequestId, Timestamp};

/// How many bytes of a detail a line quotes.
const MAX_DETAIL_BYTES: usize = 8 << 10;

/// The lines before and after those that a function wrote, which are numbered from 2.
pub(crate) struct Frame {
    request_id: RequestId,
    started_at: Option<Timestamp>,
    /// Without the result.
    ending: Option<Ending>,
}

// === impl Frame ===

impl Frame {
    pub(crate) fn of(invocation: &Invocation) -> Self {
        let without_result = |ending: &Ending| Ending {
            result: None,
            ..ending.clone()
        };
        Self {
            request_id: invocation.request_id,
            started_at: invocation.started_at,
            ending: invocation.ending.as_ref().map(without_result),
        }
    }

    /// Whether there was a start.
    pub(crate) fn has_started(&self) -> bool {
        self.started_at.is_some()
    }

    /// How it ended.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }

    /// The first line, once there was a start.
    pub(crate) fn opening(&self) -> Option<LogLine> {
        let at = self.started_at?;
        Some(self.line(1, at, format!("START RequestId:{}", self.request_id)))
    }

    /// The last lines, which follow number `last`, once a run is over. One that was never started has none.
    pub(crate) fn closing(&self, last: u64) -> Vec<LogLine> {
        let (Some(_), Some(ending)) = (self.started_at, &self.ending) else {
            return Vec::new();
        };
        let id = self.request_id;
        let error = (ending.end != End::Succeeded).then(|| error(id, ending));
        let texts = error
            .into_iter()
            .chain([format!("END RequestId:{id}"), report(id, ending)]);
        let lines = (last + 1..).zip(texts);
        lines
            .map(|(seq, text)| self.line(seq, ending.at, text))
            .collect()
    }

    fn line(&self, seq: u64, at: Timestamp, text: String) -> LogLine {
        LogLine {
            request_id: self.request_id,
            seq,
            at,
            stream: LogStream::System,
            text: Bytes::from(text),
            complete: true,
        }
    }
}

/// Why a run did not end well. The detail is cut, and made one line: it may quote the function.
fn error(id: RequestId, ending: &Ending) -> String {
    let mut line = format!("ERROR RequestId:{id} Result:{}", ending.reason);
    if let Some(detail) = &ending.detail {
        line.push_str(": ");
        let most = line.len() + MAX_DETAIL_BYTES;
        for c in detail.chars() {
            if line.len() > most {
                line.push('…');
                break;
            }
            if c.is_control() {
                line.extend(c.escape_default());
            } else {
                line.push(c);
            }
        }
    }
    line
}

/// What is known of a run that is over.
fn report(id: RequestId, ending: &Ending) -> String {
    let mut line = format!("Report RequestId:{id}");
    if let Some(duration) = ending.duration_ms {
        line.push_str(&format!(" Duration:{duration}ms"));
    }
    if let Some(limit) = ending.memory_limit_bytes {
        let whole = limit.is_multiple_of(1 << 20);
        let digits = if whole { 0 } else { 2 };
        line.push_str(&format!(" Memory:{:.*}MB", digits, megabytes(limit)));
    }
    if let Some(peak) = ending.peak_memory_bytes {
        line.push_str(&format!(" MemUsage:{:.2}MB", megabytes(peak)));
    }
    line.push_str(&format!(" Code:{}", ending.status_code()));
    line
}

/// SCF counts 2^20 bytes as a megabyte.
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";
    const STARTED: Timestamp = Timestamp::from_millis(1_795_521_600_000);
    const ENDED: Timestamp = Timestamp::from_millis(1_795_521_600_012);

    fn frame(ending: Option<Ending>) -> Frame {
        Frame {
            request_id: ID.parse().unwrap(),
            started_at: Some(STARTED),
            ending,
        }
    }

    /// The last lines as text; the log before them has four.
    fn closing(ending: Ending) -> Vec<String> {
        let lines = frame(Some(ending)).closing(4);
        assert!(
            lines
                .iter()
                .map(|line| line.seq)
                .eq(5..5 + lines.len() as u64)
        );
        assert!(lines.iter().all(|line| line.at == ENDED));
        let text = |line: &LogLine| String::from_utf8(line.text.to_vec()).unwrap();
        lines.iter().map(text).collect()
    }

    #[test]
    fn it_opens_with_the_start_and_closes_with_the_end() {
        let opening = frame(None).opening().unwrap();
        assert_eq!(opening.text, format!("START RequestId:{ID}"));
        assert_eq!((opening.seq, opening.at), (1, STARTED));
        assert_eq!(frame(None).closing(4), []);
        let unstarted = Frame {
            started_at: None,
            ..frame(Some(Ending::new(End::Cancelled, ENDED, "terminated")))
        };
        assert_eq!((unstarted.opening(), unstarted.closing(0)), (None, vec![]));
    }

    #[test]
    fn the_report_shows_what_is_known() {
        let mut ending = Ending {
            duration_ms: Some(12),
            memory_limit_bytes: Some(128 << 20),
            peak_memory_bytes: Some(31_163_679),
            ..Ending::new(End::Succeeded, ENDED, "exit_code")
        };
        let [end, head] = [
            format!("END RequestId:{ID}"),
            format!("Report RequestId:{ID}"),
        ];
        let all = format!("{head} Duration:12ms Memory:128MB MemUsage:29.72MB Code:200");
        assert_eq!(closing(ending.clone()), [end.clone(), all]);
        (ending.memory_limit_bytes, ending.peak_memory_bytes) = (Some(1_500_000), None);
        let less = format!("{head} Duration:12ms Memory:1.43MB Code:200");
        assert_eq!(closing(ending)[1], less);
        let lost = Ending::new(End::Lost, ENDED, "executor_died");
        let error = format!("ERROR RequestId:{ID} Result:executor_died");
        assert_eq!(closing(lost), [error, end, format!("{head} Code:500")]);
    }

    #[test]
    fn an_error_is_one_short_line_whatever_it_quotes() {
        let failed = |detail: &str| Ending::new(End::Failed, ENDED, "reported").because(detail);
        let head = format!("ERROR RequestId:{ID} Result:reported: ");
        let quoted = &closing(failed("a\nb\u{1b}[2J \"é\""))[0];
        assert_eq!(quoted, &format!("{head}a\\nb\\u{{1b}}[2J \"é\""));
        let long = &closing(failed(&"é".repeat(1 << 20)))[0];
        assert!(
            long.len() < (9 << 10) && long.ends_with('…'),
            "{}",
            long.len()
        );
    }
}
