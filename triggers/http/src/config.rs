//! The trigger's table in `tripline.toml`.

use std::time::Duration;

use tripline_config::{ByteSize, FromToml, Table, Value, format_duration};
use tripline_listener::Route;
use tripline_trigger::Auth;

/// The largest `max_body`, in bytes: a body is held in memory and written to the journal whole.
const MAX_BODY: ByteSize = ByteSize(6 << 20);

/// The longest `idempotency_window`.
const MAX_WINDOW: Duration = Duration::from_secs(30 * 86_400);

/// What the table says.
#[derive(Debug, Clone)]
pub(crate) struct Config {
    /// Where it listens.
    pub(crate) route: Route,
    /// Who may call.
    pub(crate) auth: Auth,
    /// The largest body, in bytes.
    pub(crate) max_body: usize,
    /// From the head of a request to the last byte of its body.
    pub(crate) body_timeout: Duration,
    /// How long an `Idempotency-Key` is remembered.
    pub(crate) idempotency_window: Duration,
}

// === impl Config ===

impl Config {
    /// Reads the table; `None` if something is wrong, which is recorded then.
    pub(crate) fn read(table: &mut Table<'_>) -> Option<Self> {
        let route: Option<RouteText> = table.required("route");
        let auth: Option<Auth> = table.required("auth");
        let max_body = table.or("max_body", ByteSize(1 << 20));
        let body_timeout = table.or("body_timeout", Duration::from_secs(30));
        let idempotency_window = table.or("idempotency_window", Duration::from_secs(86_400));
        table.finish();

        let mut right = true;
        if max_body > MAX_BODY {
            let message = format!("`max_body` is above the maximum of {MAX_BODY}");
            table.error("max_body", message, None);
            right = false;
        }
        if body_timeout.is_zero() {
            let help = Some("leave it out for 30s".to_owned());
            table.error("body_timeout", "no body can be there within no time", help);
            right = false;
        }
        if idempotency_window.is_zero() {
            let help = Some("leave it out for 24h".to_owned());
            table.error("idempotency_window", "no key would be remembered", help);
            right = false;
        }
        if idempotency_window > MAX_WINDOW {
            let most = format_duration(MAX_WINDOW);
            let message = format!("`idempotency_window` is above the maximum of {most}");
            table.error("idempotency_window", message, None);
            right = false;
        }
        let (RouteText(route), auth) = (route?, auth?);
        right.then_some(Config {
            route,
            auth,
            max_body: usize::try_from(max_body.0).unwrap_or(usize::MAX),
            body_timeout,
            idempotency_window,
        })
    }
}

/// A route as the file has it.
struct RouteText(Route);

impl FromToml for RouteText {
    const EXPECTED: &'static str = "a method and a path";
    const EXAMPLE: &'static str = "\"POST /orders/{id}\"";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        let text = value
            .as_str()
            .ok_or_else(|| format!("this is {}", value.kind_name()))?;
        text.parse().map(Self).map_err(|error| {
            let error: tripline_listener::InvalidRoute = error;
            error.to_string()
        })
    }
}

#[cfg(test)]
mod tests {
    use tripline_config::Document;

    use super::*;

    fn parse(text: &str) -> Result<Config, String> {
        let document = Document::new("tripline.toml", text);
        document
            .read(Config::read)
            .map_err(|errors| errors.to_string())
    }

    #[test]
    fn the_defaults() {
        let config = parse("route = 'POST /orders/{id}'\nauth = 'none'").expect("enough");
        assert_eq!(config.route.to_string(), "POST /orders/{id}");
        assert_eq!(config.auth, Auth::None);
        assert_eq!(config.max_body, 1 << 20);
        assert_eq!(config.body_timeout, Duration::from_secs(30));
        assert_eq!(config.idempotency_window, Duration::from_secs(86_400));
    }

    #[test]
    fn no_span_is_zero() {
        for (key, words) in [
            ("body_timeout", "no body can be there within no time"),
            ("idempotency_window", "no key would be remembered"),
        ] {
            let report = parse(&format!("route = 'POST /a'\nauth = 'none'\n{key} = '0s'"));
            let report = report.expect_err(key);
            assert!(report.contains(words), "{report}");
        }
    }

    #[test]
    fn everything_at_once() {
        let text = "route = 'FETCH /a'\nauth = 1\nmax_body = '7MiB'\nbody_timeout = '0s'\nidempotency_window = '31d'\nmethods = ['GET']\n";
        let report = parse(text).expect_err("all of it is wrong");
        for words in [
            "`FETCH` is not a method",
            "e.g. \"POST /orders/{id}\"",
            "wrong value for `auth`: this is an integer",
            "`max_body` is above the maximum of 6MiB",
            "no body can be there within no time",
            "`idempotency_window` is above the maximum of 30d",
            "unknown key `methods`",
        ] {
            assert!(report.contains(words), "{words:?} is not in\n{report}");
        }
    }
}
