//! The trigger's table in the config file.

use std::time::Duration;

use reqwest::Url;
use tripline_config::{SecretRef, Table};
use tripline_listener::Route;
use tripline_model::check_endpoint;
use tripline_trigger::Auth;

use crate::dialect::Dialect;
use crate::names::EventNames;

/// The checked table.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    pub(crate) endpoint: Url,
    pub(crate) region: String,
    pub(crate) bucket: String,
    pub(crate) access_key: SecretRef,
    pub(crate) secret_key: SecretRef,
    pub(crate) mode: Mode,
    pub(crate) events: EventNames,
    pub(crate) prefix: String,
    pub(crate) suffix: String,
    /// Overrules what notifications show of their sender.
    pub(crate) dialect: Option<Dialect>,
    /// Time from the end of one listing to the next.
    pub(crate) interval: Duration,
    /// An object younger than this is left to its notification.
    pub(crate) settle: Duration,
    /// Whether objects that were there before the trigger fire, too.
    pub(crate) fire_existing: bool,
}

/// How notifications come.
#[derive(Debug, Clone)]
pub(crate) enum Mode {
    /// MinIO's Listen stream; a heartbeat every so many whole seconds.
    Listen { heartbeat: Duration },
    /// POSTs to the gateway; without a token everybody may send them.
    Webhook {
        route: Route,
        bearer: Option<SecretRef>,
    },
    /// None: the bucket is listed often.
    Poll,
}

#[derive(Clone, Copy, PartialEq)]
enum Word {
    Listen,
    Webhook,
    Poll,
}

// === impl Config ===

impl Config {
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let endpoint = endpoint(table);
        let access_key = table.required("access_key");
        let secret_key = table.required("secret_key");
        let region = table.or("region", "us-east-1".to_owned());
        let bucket = bucket(table);
        let events = events(table);
        let (prefix, suffix) = (text(table, "prefix"), text(table, "suffix"));
        let dialect = table.optional::<String>("dialect").and_then(|name| {
            let known = Dialect::NAMES.iter().find(|(known, _)| *known == name);
            if known.is_none() {
                let allowed = Dialect::NAMES
                    .map(|(known, _)| format!("\"{known}\""))
                    .join(", ");
                let help = Some(format!("allowed: {allowed}"));
                table.error(
                    "dialect",
                    format!("unknown value `{name}` for `dialect`"),
                    help,
                );
            }
            known.map(|(_, dialect)| *dialect)
        });
        let existing = [("skip", false), ("fire", true)];
        let fire_existing = table.one_of("existing", &existing, Some(false));
        let words = [
            ("listen", Word::Listen),
            ("webhook", Word::Webhook),
            ("poll", Word::Poll),
        ];
        let word = table.one_of("mode", &words, None);
        if let Some(word) = word {
            refuse_misplaced(table, word);
        }
        let (interval, settle) = pace(table, word);
        let mode = word.and_then(|word| Mode::read(table, word));
        table.finish();
        if matches!(word, Some(Word::Poll))
            && events
                .as_ref()
                .is_some_and(|events| !events.want_creations())
        {
            let help = "mode = \"listen\" or \"webhook\" hears of removals, reads and tags, too";
            let message =
                "a listing shows objects, not what else happened: nothing would ever fire";
            table.error("events", message, Some(help.to_owned()));
            return None;
        }
        Some(Self {
            endpoint: endpoint?,
            region,
            bucket: bucket?,
            access_key: access_key?,
            secret_key: secret_key?,
            mode: mode?,
            events: events?,
            prefix,
            suffix,
            dialect,
            interval,
            settle,
            fire_existing: fire_existing?,
        })
    }

    /// Whether the trigger is about objects of that key.
    pub(crate) fn covers(&self, key: &str) -> bool {
        key.starts_with(&self.prefix) && key.ends_with(&self.suffix)
    }

    /// The endpoint as people write it.
    pub(crate) fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// `HOST[:PORT]` of the endpoint.
    pub(crate) fn host(&self) -> String {
        let host = self.endpoint.host_str().unwrap_or_default();
        match self.endpoint.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.to_owned(),
        }
    }

    /// What the inventory is of: a change makes it a new one.
    pub(crate) fn scope(&self) -> String {
        let parts = [
            self.endpoint.as_str(),
            &self.bucket,
            &self.prefix,
            &self.suffix,
        ];
        parts.join("\n")
    }
}

// === impl Mode ===

impl Mode {
    fn read(table: &mut Table<'_>, word: Word) -> Option<Self> {
        match word {
            Word::Poll => Some(Self::Poll),
            Word::Listen => {
                let heartbeat = table.or("heartbeat", Duration::from_secs(2));
                let whole =
                    heartbeat.subsec_nanos() == 0 && (1..=60).contains(&heartbeat.as_secs());
                if !whole {
                    let message = "the heartbeat is not a whole number of seconds from 1 to 60";
                    table.error("heartbeat", message, None);
                }
                whole.then_some(Self::Listen { heartbeat })
            }
            Word::Webhook => {
                let route = route(table);
                let auth: Option<Auth> = table.required("auth");
                Some(Self::Webhook {
                    route: route?,
                    bearer: auth?.token().cloned(),
                })
            }
        }
    }
}

fn endpoint(table: &mut Table<'_>) -> Option<Url> {
    let written: String = table.required_such_as("endpoint", "\"http://127.0.0.1:9000\"")?;
    let good = |url: &Url| {
        let plain = url.username().is_empty() && url.password().is_none();
        let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
        matches!(url.scheme(), "http" | "https") && url.has_host() && plain && bare
    };
    let url = Url::parse(&written).ok().filter(good);
    if url.is_none() {
        let help = "it takes scheme, host and port only: `endpoint = \"http://127.0.0.1:9000\"`";
        table.error(
            "endpoint",
            "this is not the URL of an endpoint",
            Some(help.to_owned()),
        );
    }
    let refused = check_endpoint(url.as_ref()?.host_str()?).err();
    if let Some(refused) = refused {
        table.error("endpoint", refused.to_string(), None);
        return None;
    }
    url
}

fn bucket(table: &mut Table<'_>) -> Option<String> {
    let bucket: String = table.required_such_as("bucket", "\"uploads\"")?;
    let letter = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'.' | b'_');
    let dots = bucket.bytes().all(|c| c == b'.');
    let good = (1..=255).contains(&bucket.len()) && bucket.bytes().all(letter) && !dots;
    if !good {
        let help = "it takes letters, digits, `-`, `.` and `_`";
        table.error(
            "bucket",
            "this cannot be the name of a bucket",
            Some(help.to_owned()),
        );
    }
    good.then_some(bucket)
}

fn events(table: &mut Table<'_>) -> Option<EventNames> {
    let all = || vec!["s3:ObjectCreated:*".to_owned()];
    let written = table.or("events", all());
    match EventNames::new(&written) {
        Ok(names) => Some(names),
        Err(why) => {
            let help = "such as \"s3:ObjectCreated:*\" or \"s3:ObjectRemoved:Delete\"";
            table.error("events", why, Some(help.to_owned()));
            None
        }
    }
}

fn text(table: &mut Table<'_>, key: &str) -> String {
    let text = table.or(key, String::new());
    if text.len() > 1024 || text.contains('\0') {
        table.error(key, "a key has at most 1024 bytes and no NUL", None);
    }
    text
}

/// Keys that other modes have.
fn refuse_misplaced(table: &mut Table<'_>, word: Word) {
    let notified = [Word::Listen, Word::Webhook].as_slice();
    let keys = [
        (
            "interval",
            [Word::Poll].as_slice(),
            "listings beside notifications are paced by `reconcile_interval`",
        ),
        (
            "reconcile_interval",
            notified,
            "in mode = \"poll\" listings are paced by `interval`",
        ),
        (
            "heartbeat",
            &notified[..1],
            "only mode = \"listen\" keeps a stream open",
        ),
        (
            "route",
            &notified[1..],
            "only in mode = \"webhook\" the store calls the gateway",
        ),
        (
            "auth",
            &notified[1..],
            "only in mode = \"webhook\" the store calls the gateway",
        ),
    ];
    for (key, modes, help) in keys {
        if !modes.contains(&word) {
            let message = format!("`{key}` means nothing in this mode");
            table.refuse(key, message, Some(help.to_owned()));
        }
    }
}

fn pace(table: &mut Table<'_>, word: Option<Word>) -> (Duration, Duration) {
    let poll = word == Some(Word::Poll);
    let (key, interval, settle) = match poll {
        true => ("interval", 10, 0),
        false => ("reconcile_interval", 15 * 60, 10),
    };
    let interval = table.or(key, Duration::from_secs(interval));
    let settle = table.or("settle", Duration::from_secs(settle));
    if interval < Duration::from_millis(100) {
        table.error(
            key,
            "listing more often than every 100ms helps nobody",
            None,
        );
    }
    if settle > Duration::from_secs(24 * 3600) {
        table.error(
            "settle",
            "a notification that needs more than a day is lost",
            None,
        );
    }
    (interval, settle)
}

fn route(table: &mut Table<'_>) -> Option<Route> {
    let written: String = table.required_such_as("route", "\"POST /s3/uploads\"")?;
    let help = "such as \"POST /s3/uploads\"";
    match written.parse::<Route>() {
        Ok(route) if route.method == http::Method::POST => Some(route),
        Ok(_) => {
            let message = "object stores send notifications with POST";
            table.error("route", message, Some(help.to_owned()));
            None
        }
        Err(err) => {
            table.error("route", err.to_string(), Some(help.to_owned()));
            None
        }
    }
}

#[cfg(test)]
mod tests;
