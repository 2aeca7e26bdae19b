//! `limiter`: five times as many calls as the limit allows. What is accepted in the worst second, how much of the limit
//! is used, and how long those wait who are refused.

use std::path::Path;

use crate::Outcome;
use crate::caller::paced;
use crate::hub::Hub;
use crate::pairs::{Report, quantile};
use crate::worker::functions;

const LIMIT: u64 = 1000;
const SECONDS: u64 = 5;
const CALLERS: u64 = 128;

pub(crate) async fn run(program: &Path, pairs: u32) -> Outcome<Report> {
    let mut report = Report::new(
        "limiter",
        "what the limit allows at five times as many calls",
    );
    for _ in 0..pairs {
        let hub = Hub::with_qps(program, LIMIT, &functions(None)?).await?;
        let (url, offered) = (hub.gateway("/event"), LIMIT * 5);
        let answers = paced(&url, offered * SECONDS, offered, CALLERS).await?;
        let accepted = answers.values().filter(|(_, _, status)| *status == 202);
        let mut spans: Vec<_> = accepted
            .map(|(sent, answered, _)| (*sent, *answered))
            .collect();
        spans.sort_unstable();
        let refused = answers.values().filter(|(_, _, status)| *status == 429);
        let refused = refused.map(|(sent, answered, _)| (answered - sent) as f64 / 1000.0);
        let mut refused: Vec<f64> = refused.collect();
        let accepted = spans.len();
        let mut moments = hub.accepted_at_ms().await?;
        if moments.len() != accepted {
            return Err(format!("{accepted} were accepted, {} are known", moments.len()).into());
        }
        moments.sort_unstable();
        let (first, last) = (moments[0], moments[moments.len() - 1]);
        let (worst, seen, share) = (
            worst_second(&moments) as f64,
            worst_second_outside(&spans) as f64,
            // A full bucket to begin with, and then one every millisecond.
            accepted as f64 / (LIMIT * (last - first).div_ceil(1000).max(1)) as f64,
        );
        report.figure("worst_second", worst);
        report.figure("worst_second_outside", seen);
        report.figure("share_used", share);
        report.figure("refused_p99_ms", quantile(&mut refused, 0.99));
        report.ratio(share);
    }
    let exact = ["worst_second", "worst_second_outside"]
        .iter()
        .all(|figure| report.largest(figure) <= LIMIT as f64);
    report.goal("never more than the limit in any second", exact);
    let used = report.median("share_used");
    report.goal("99 % of the limit used", used >= 0.99);
    // Who is refused waits neither for the disk nor for those who are accepted.
    let refused = report.median("refused_p99_ms");
    report.goal("p99 of refusals at most 10 ms", refused <= 10.0);
    Ok(report)
}

/// The most moments, in milliseconds and rising, that lie within one second.
fn worst_second(moments: &[u64]) -> usize {
    let within = |(index, first): (usize, &u64)| {
        let later = &moments[index..];
        later.partition_point(|at| at - first < 1000)
    };
    moments.iter().enumerate().map(within).max().unwrap_or(0)
}

/// The most calls, from when each was sent until it was answered, that lie within one second, by the callers' clock. In
/// microseconds, the first sent first.
fn worst_second_outside(calls: &[(u64, u64)]) -> usize {
    let within = |(index, (first, _)): (usize, &(u64, u64))| {
        let end = first + 1_000_000;
        let sent = calls[index..].iter().take_while(|(sent, _)| *sent < end);
        sent.filter(|(_, answered)| *answered < end).count()
    };
    calls.iter().enumerate().map(within).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_worst_second_begins_anywhere() {
        assert_eq!(worst_second(&[]), 0);
        assert_eq!(worst_second(&[0, 900, 1000, 1899, 1900]), 3);
    }

    #[test]
    fn a_call_counts_for_a_second_that_it_lies_in_whole() {
        assert_eq!(worst_second_outside(&[]), 0);
        let calls = [
            (0, 10),
            (10, 1_000_000),
            (20, 999_999),
            (1_000_000, 1_000_010),
        ];
        assert_eq!(worst_second_outside(&calls), 2);
    }
}
