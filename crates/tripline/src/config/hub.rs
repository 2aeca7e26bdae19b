//! `[hub]`: the journal, the limits and the log of the hub itself.

use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use tracing_subscriber::filter::{LevelFilter, Targets};
use tripline_config::{ByteSize, FromToml, Rate, Table, Value};

/// The longest timeout a function may have unless `max_timeout` says more: the contract's 24 hours.
pub(crate) const DEFAULT_MAX_TIMEOUT: Duration = Duration::from_secs(24 * 3600);

/// How the hub writes its own log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// `[hub]`.
#[derive(Debug, Clone)]
pub struct HubConfig {
    /// Where journal, logs, token and scratch live; relative to the file. `data_dir`, default `./data`.
    pub data_dir: PathBuf,
    /// Accepted events in any 1 s window, all triggers together. `qps`, default 1,000.
    pub qps: NonZeroU32,
    /// Percent of `qps` that only push sources may use. `push_share`, default 20.
    pub push_share_percent: u8,
    /// The longest timeout a function may have. `max_timeout`, default `24h`.
    pub max_timeout: Duration,
    /// Accepted invocations waiting for their start, all functions together. `max_queued`, default 1,000,000.
    pub max_queued: u64,
    /// The largest event, in bytes. `max_event`, default `1MiB`.
    pub max_event_bytes: u64,
    /// How long a stopping hub waits for running functions. `drain`, default `30s`.
    pub drain: Duration,
    /// How long an ended invocation is kept after that was recorded. `keep_ended`, default `72h`.
    pub keep_ended: Duration,
    /// The journal's size cap, in bytes. `max_journal`, default `10GiB`.
    pub max_journal_bytes: u64,
    /// How long function logs are kept, at most `keep_ended`. `keep_logs`, default `keep_ended`.
    pub keep_logs: Duration,
    /// `log`, `"text"` or `"json"`, default text.
    pub log_format: LogFormat,
    /// A `tracing` filter such as `info` or `warn,tripline=debug`. `log_level`, default `info`, also for what it does not
    /// name. The AWS SDK, which logs access keys below `info`, stays there unless its crates are named, as in
    /// `debug,aws_=debug`.
    pub log_level: String,
}

/// Reads the section, or takes every default without one.
pub(super) fn read(table: Option<&mut Table<'_>>) -> Option<HubConfig> {
    let mut hub = HubConfig {
        data_dir: PathBuf::from("./data"),
        qps: NonZeroU32::new(1_000).expect("not zero"),
        push_share_percent: 20,
        max_timeout: DEFAULT_MAX_TIMEOUT,
        max_queued: 1_000_000,
        max_event_bytes: 1 << 20,
        drain: Duration::from_secs(30),
        keep_ended: Duration::from_secs(72 * 3600),
        max_journal_bytes: 10 << 30,
        keep_logs: Duration::from_secs(72 * 3600),
        log_format: LogFormat::Text,
        log_level: "info".to_owned(),
    };
    let Some(table) = table else {
        return Some(hub);
    };
    hub.data_dir = table.or("data_dir", hub.data_dir);
    hub.qps = table.or("qps", Rate(hub.qps)).0;
    hub.push_share_percent = table.or("push_share", Percent(hub.push_share_percent)).0;
    hub.max_timeout = table.or("max_timeout", hub.max_timeout);
    hub.max_queued = table.or("max_queued", hub.max_queued);
    hub.max_event_bytes = table.or("max_event", ByteSize(hub.max_event_bytes)).0;
    hub.drain = table.or("drain", hub.drain);
    hub.keep_ended = table.or("keep_ended", hub.keep_ended);
    hub.max_journal_bytes = table.or("max_journal", ByteSize(hub.max_journal_bytes)).0;
    hub.keep_logs = table.or("keep_logs", hub.keep_ended);
    if hub.keep_logs > hub.keep_ended {
        let message =
            "longer than `keep_ended`: a log cannot be read when the record of its run is gone";
        let help = "leave `keep_logs` out, or raise `keep_ended`".to_owned();
        table.error("keep_logs", message, Some(help));
    }
    let formats = [("text", LogFormat::Text), ("json", LogFormat::Json)];
    hub.log_format = table.one_of("log", &formats, Some(hub.log_format))?;
    hub.log_level = table.or("log_level", hub.log_level);
    if !is_log_filter(&hub.log_level) {
        let help = "write a level (error, warn, info, debug, trace) or `target=level,…`".to_owned();
        table.error("log_level", "this is not a log filter", Some(help));
    }
    if hub.max_event_bytes > (6 << 20) {
        table.error("max_event", "the largest event the hub takes is 6MiB", None);
    }
    if hub.max_event_bytes == 0 {
        table.error(
            "max_event",
            "no event is as small: leave it out for 1MiB",
            None,
        );
    }
    if hub.max_queued == 0 {
        table.error(
            "max_queued",
            "no event could be accepted: write 1 or more",
            None,
        );
    }
    table.finish();
    Some(hub)
}

/// Whether each part is a level, or names the level of a target. A lone word that is no level would be taken for a target,
/// and everything else would be silent: `warning`, say.
fn is_log_filter(text: &str) -> bool {
    let is_directive = |part: &str| match part.split_once('=') {
        Some((target, level)) => !target.is_empty() && target == target.trim() && is_level(level),
        None => is_level(part),
    };
    text.split(',').all(is_directive) && text.parse::<Targets>().is_ok()
}

fn is_level(word: &str) -> bool {
    !word.is_empty() && word.parse::<LevelFilter>().is_ok()
}

/// A share that leaves something to others.
struct Percent(u8);

impl FromToml for Percent {
    const EXPECTED: &'static str = "an integer from 0 to 90, the percentage of `qps` that only push sources (HTTP, webhooks) may use";
    const EXAMPLE: &'static str = "20";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        let percent = value
            .as_int()
            .ok_or_else(|| format!("this is {}", value.kind_name()))?;
        match u8::try_from(percent) {
            Ok(percent @ 0..=90) => Ok(Self(percent)),
            _ => Err(format!("{percent} is not from 0 to 90")),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use crate::config::Config;
    use crate::kinds::kinds;

    #[test]
    fn logs_are_kept_as_long_as_what_they_belong_to_and_no_longer() {
        let read = |text: &str| Config::read(Path::new("tripline.toml"), text, &kinds());
        for (text, hours) in [
            ("", 72),
            ("keep_ended = '7d'", 7 * 24),
            ("keep_ended = '1h'", 1),
            ("keep_logs = '3h'", 3),
        ] {
            let config = read(&format!("[hub]\n{text}")).unwrap_or_else(|error| panic!("{error}"));
            let kept = config.hub.keep_logs;
            assert_eq!(kept, Duration::from_secs(hours * 3600), "{text}");
        }
        let longer = read("[hub]\nkeep_ended = '1h'\nkeep_logs = '2h'");
        let found = longer.err().expect("it is refused").to_string();
        assert!(found.contains("leave `keep_logs` out"), "{found}");
    }
}
