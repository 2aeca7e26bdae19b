//! `tripline.toml`: a whole configuration with all kinds of trigger.

use std::path::Path;
use std::sync::LazyLock;

use tripline::config::Config;
use tripline_trigger::Registry;

static KINDS: LazyLock<Registry> = LazyLock::new(tripline::kinds);

/// Errors that are shown, at most, and bytes of each: an excerpt of 120 columns, words, what is allowed.
const MAX_ERRORS: usize = 100;
const MAX_ERROR_BYTES: usize = 16 << 10;

/// The text of a file.
pub(crate) fn config(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let read = || Config::read(Path::new("tripline.toml"), text, &KINDS);
    match (read(), read()) {
        (Ok(config), Ok(again)) => {
            assert_eq!(config.secrets(), again.secrets());
            assert_eq!(config.functions.len(), again.functions.len());
        }
        (Err(errors), Err(again)) => {
            let shown = errors.to_string();
            assert_eq!(shown, again.to_string());
            assert!((1..=MAX_ERRORS).contains(&errors.iter().count()));
            assert!(shown.len() <= MAX_ERRORS * MAX_ERROR_BYTES);
            let hostile = |c: char| c.is_control() && c != '\n';
            assert!(!shown.contains(hostile), "{shown:?}");
        }
        (first, _) => panic!("read twice, once without error: {}", first.is_ok()),
    }
}
