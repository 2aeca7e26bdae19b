//! Durations, sizes and rates as they are written in a configuration: what is printed reads as the same.

use std::time::Duration;

use tripline_config::{ByteSize, Document, FromToml, Rate, format_duration};

/// One value, without its quotes.
pub(crate) fn units(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    if let Some(duration) = read::<Duration>(text) {
        assert_eq!(read(&format_duration(duration)), Some(duration));
    }
    if let Some(size) = read::<ByteSize>(text) {
        assert_eq!(read(&size.to_string()), Some(size));
    }
    if let Some(rate) = read::<Rate>(text) {
        assert_eq!(read(&rate.to_string()), Some(rate));
    }
}

fn read<T: FromToml>(text: &str) -> Option<T> {
    // TOML's strings know JSON's escapes, all but that of the slash, which nobody has to write.
    let quoted = serde_json::to_string(text).expect("text is JSON");
    let document = Document::new("f", format!("value = {quoted}\n"));
    document.read(|root| root.required("value")).ok()
}
