//! The lines about a run in its own log, in the words of Tencent SCF.

/// Bytes of a sentence that are quoted in a line.
const MAX_DETAIL_BYTES: usize = 8 << 10;

/// What is reported of a run when it is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Usage {
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
    /// Bytes of memory it may use; `None` is unbounded, and is not shown.
    pub memory_limit_bytes: Option<u64>,
    /// The most memory it used, in bytes; `None` is unknown, and is not shown.
    pub peak_memory_bytes: Option<u64>,
    /// Its status code; [`tripline_model::Ending::status_code`].
    pub status_code: u16,
}

/// The first line of a run.
pub fn start_line(request_id: &str) -> String {
    format!("START RequestId:{request_id}")
}

/// Why a run did not end well. The detail is cut, and made one line: it may quote the function.
pub fn error_line(request_id: &str, reason: &str, detail: Option<&str>) -> String {
    let mut line = format!("ERROR RequestId:{request_id} Result:{reason}");
    if let Some(detail) = detail {
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

/// The line after the function's last.
pub fn end_line(request_id: &str) -> String {
    format!("END RequestId:{request_id}")
}

/// The last line of a run.
pub fn report_line(request_id: &str, usage: &Usage) -> String {
    let duration = usage.duration_ms;
    let mut line = format!("Report RequestId:{request_id} Duration:{duration}ms");
    if let Some(limit) = usage.memory_limit_bytes {
        let whole = limit.is_multiple_of(1 << 20);
        line.push_str(&format!(
            " Memory:{:.*}MB",
            if whole { 0 } else { 2 },
            megabytes(limit)
        ));
    }
    if let Some(peak) = usage.peak_memory_bytes {
        line.push_str(&format!(" MemUsage:{:.2}MB", megabytes(peak)));
    }
    line.push_str(&format!(" Code:{}", usage.status_code));
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

    #[test]
    fn the_report_shows_what_is_known() {
        let mut usage = Usage {
            duration_ms: 12,
            memory_limit_bytes: Some(128 << 20),
            peak_memory_bytes: Some(31_163_679),
            status_code: 200,
        };
        let head = format!("Report RequestId:{ID} Duration:12ms");
        let all = format!("{head} Memory:128MB MemUsage:29.72MB Code:200");
        assert_eq!(report_line(ID, &usage), all);
        usage.memory_limit_bytes = Some(1_500_000);
        usage.peak_memory_bytes = None;
        assert_eq!(
            report_line(ID, &usage),
            format!("{head} Memory:1.43MB Code:200")
        );
        usage.memory_limit_bytes = None;
        assert_eq!(report_line(ID, &usage), format!("{head} Code:200"));
    }

    #[test]
    fn an_error_is_one_short_line_whatever_it_quotes() {
        let plain = format!("ERROR RequestId:{ID} Result:signal");
        assert_eq!(error_line(ID, "signal", None), plain);
        let quoted = error_line(ID, "reported", Some("a\nb\u{1b}[2J \"é\""));
        let head = format!("ERROR RequestId:{ID} Result:reported: ");
        assert_eq!(quoted, format!("{head}a\\nb\\u{{1b}}[2J \"é\""));
        let long = error_line(ID, "reported", Some(&"é".repeat(1 << 20)));
        assert!(
            long.len() < (9 << 10) && long.ends_with('…'),
            "{}",
            long.len()
        );
    }
}
