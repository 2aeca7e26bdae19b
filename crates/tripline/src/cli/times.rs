//! Moments and spans as people write and read them.

use std::time::Duration;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};

/// A span in one unit, rounded down: `850ms`, `12s`, `5m`, `3h`, `2d`.
pub(crate) fn short(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0 => format!("{}ms", span.as_millis()),
        1..=119 => format!("{seconds}s"),
        120..=7199 => format!("{}m", seconds / 60),
        7200..=172_799 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// How long ago an RFC 3339 moment was, such as `12s ago`; the text itself if it is none.
pub(crate) fn ago(now: DateTime<Utc>, at: &str) -> String {
    match DateTime::parse_from_rfc3339(at) {
        Ok(at) => {
            let span = now.signed_duration_since(at).to_std().unwrap_or_default();
            format!(
                "{} ago",
                short(Duration::from_secs(span.as_secs()).max(FLOOR))
            )
        }
        Err(_) => at.to_owned(),
    }
}

/// A moment of less than a second ago shows as `1s ago`.
const FLOOR: Duration = Duration::from_secs(1);

/// The span between two RFC 3339 moments; `None` if either is none.
pub(crate) fn between(from: &str, to: &str) -> Option<String> {
    let from = DateTime::parse_from_rfc3339(from).ok()?;
    let to = DateTime::parse_from_rfc3339(to).ok()?;
    Some(short(
        to.signed_duration_since(from).to_std().unwrap_or_default(),
    ))
}

/// Reads `--since`: a span before `now` (`15m`, `2h`, `7d`) or an RFC 3339 moment. Answers RFC 3339 in UTC.
pub(crate) fn since(now: DateTime<Utc>, text: &str) -> Option<String> {
    let at = match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.with_timezone(&Utc),
        Err(_) => now.checked_sub_signed(parse_span(text)?)?,
    };
    Some(at.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn parse_span(text: &str) -> Option<TimeDelta> {
    let unit_at = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(unit_at);
    let count: i64 = count.parse().ok()?;
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    TimeDelta::try_seconds(count.checked_mul(seconds)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        "2026-11-24T12:00:00Z".parse().unwrap()
    }

    #[test]
    fn ages() {
        for (at, words) in [
            ("2026-11-24T11:59:59.900Z", "1s ago"),
            ("2026-11-24T11:59:48Z", "12s ago"),
            ("2026-11-24T11:55:00Z", "5m ago"),
            ("2026-11-24T13:00:00+02:00", "60m ago"),
            ("2026-11-20T11:55:00Z", "4d ago"),
            ("2026-11-24T12:00:09Z", "1s ago"),
            ("soon", "soon"),
        ] {
            assert_eq!(ago(noon(), at), words, "{at}");
        }
    }

    #[test]
    fn spans_between() {
        let got = between("2026-11-24T12:00:00Z", "2026-11-24T12:00:00.250Z");
        assert_eq!(got.as_deref(), Some("250ms"));
        assert_eq!(between("then", "now"), None);
    }

    #[test]
    fn since_takes_spans_and_moments() {
        let since = |text| since(noon(), text);
        assert_eq!(since("15m").as_deref(), Some("2026-11-24T11:45:00.000Z"));
        assert_eq!(since("7d").as_deref(), Some("2026-11-17T12:00:00.000Z"));
        let moment = since("2026-11-24T12:00:00+01:00");
        assert_eq!(moment.as_deref(), Some("2026-11-24T11:00:00.000Z"));
        for bad in [
            "",
            "m",
            "15",
            "15 m",
            "-3h",
            "99999999999999999d",
            "yesterday",
        ] {
            assert_eq!(since(bad), None, "{bad}");
        }
    }
}
