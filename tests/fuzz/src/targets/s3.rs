//! A store's notifications: a webhook's body, or lines of the Listen stream, in every dialect.

use tripline_s3::fuzz::{Seen, dialects, notifications};

use crate::events;

/// The longest attribute out of a notification, in bytes: a key.
const MAX_ATTRIBUTE: usize = 1024;

/// JSON as stores send it.
pub(crate) fn s3(bytes: &[u8]) {
    for forced in std::iter::once(None).chain(dialects().map(Some)) {
        check(bytes, false, forced);
        for line in bytes.split(|byte| *byte == b'\n') {
            check(line, true, forced);
        }
    }
}

fn check(bytes: &[u8], listen: bool, forced: Option<&str>) {
    let read = || notifications(bytes, listen, forced);
    let seen = read();
    assert_eq!(seen, read(), "the same bytes are the same occurrence");
    match seen {
        Ok(seen) => check_seen(&seen, bytes.len()),
        Err(why) => check_words(&why, bytes.len()),
    }
}

fn check_seen(seen: &Seen, sent: usize) {
    for occurrence in &seen.occurrences {
        let event = &occurrence.event;
        events::check(event);
        let key = event.subject.as_deref().unwrap_or_default();
        assert!((1..=MAX_ATTRIBUTE).contains(&key.len()) && !key.contains('\0'));
        let words: Vec<String> =
            serde_json::from_str(&occurrence.identity).expect("an identity is a row of words");
        assert_eq!(words[2], key, "an occurrence is known by its object");
        for (name, value) in &event.extensions {
            let bound = if name == "s3bucket" {
                sent
            } else {
                MAX_ATTRIBUTE
            };
            assert!(value.len() <= bound, "{name} has {} bytes", value.len());
        }
    }
    for why in &seen.skipped {
        check_words(why, sent);
    }
}

fn check_words(why: &str, sent: usize) {
    assert!(!why.is_empty());
    assert!(why.len() <= 1024 + sent, "{} bytes of words", why.len());
}
