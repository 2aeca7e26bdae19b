//! Values with a unit: durations, byte sizes and rates. A bare number says nothing about its unit and is refused.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use crate::names::nearest;
use crate::scalars::{text, this_is};
use crate::value::{FromToml, Value};

/// Units of durations with their milliseconds, largest first.
const DURATION_UNITS: [(&str, u64); 5] = [
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("m", 60_000),
    ("s", 1_000),
    ("ms", 1),
];

/// Shorter durations are shown in hours.
const TWO_DAYS: Duration = Duration::from_secs(2 * 86_400);

/// Units of byte sizes, largest first.
const BYTE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// A number of bytes, written with its unit: `"512KiB"`, `"10MB"`, `"100B"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ByteSize(
    /// Bytes.
    pub u64,
);

/// How often a second, written as `1000` or `"1000/s"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rate(
    /// Times a second.
    pub NonZeroU32,
);

/// A duration as a person would write it: `1h30m`, `250ms`, `0s`, in hours up to two days (`24h`). What it prints can be read back, if the duration is
/// whole milliseconds; a finer rest follows in `us` or `ns`.
pub fn format_duration(duration: Duration) -> String {
    let mut shown = String::new();
    let mut seconds = duration.as_secs();
    let in_days = duration >= TWO_DAYS;
    let units = DURATION_UNITS.iter();
    for (unit, milliseconds) in units.filter(|(unit, _)| *unit != "ms" && (*unit != "d" || in_days))
    {
        let unit_seconds = milliseconds / 1_000;
        push_part(&mut shown, seconds / unit_seconds, unit);
        seconds %= unit_seconds;
    }
    let nanoseconds = u64::from(duration.subsec_nanos());
    push_part(&mut shown, nanoseconds / 1_000_000, "ms");
    push_part(&mut shown, nanoseconds / 1_000 % 1_000, "us");
    push_part(&mut shown, nanoseconds % 1_000, "ns");
    if shown.is_empty() {
        "0s".to_owned()
    } else {
        shown
    }
}

impl FromToml for Duration {
    const EXPECTED: &'static str = "a duration in ms, s, m, h or d";
    const EXAMPLE: &'static str = "\"1h30m\"";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        match value.as_wide_int() {
            Some(number) => Err(format!(
                "{number} has no unit: write \"{number}s\" if you mean seconds"
            )),
            None => parse_duration(text(value)?),
        }
    }
}

// === impl ByteSize ===

impl FromToml for ByteSize {
    const EXPECTED: &'static str = "a size in B, KB, KiB, MB, MiB, GB, GiB, TB or TiB";
    const EXAMPLE: &'static str = "\"512KiB\"";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        if let Some(number) = value.as_wide_int() {
            return Err(format!(
                "{number} has no unit: write \"{number}B\" if you mean bytes"
            ));
        }
        let text = text(value)?;
        check_form(text)?;
        let (number, unit) = split_number(text)
            .ok_or_else(|| format!("`{text}` does not start with a whole number"))?;
        if unit.is_empty() {
            return Err(format!(
                "`{text}` has no unit: write \"{number}B\" if you mean bytes"
            ));
        }
        let Some((_, bytes)) = BYTE_UNITS.iter().find(|(name, _)| *name == unit) else {
            return Err(unknown_unit(unit, BYTE_UNITS.iter().map(|(name, _)| *name)));
        };
        let size = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*bytes));
        size.map(Self)
            .ok_or_else(|| format!("`{text}` is too large"))
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The unit that leaves the smallest whole number is the one a person would have written.
        let whole = BYTE_UNITS
            .iter()
            .filter(|(_, bytes)| self.0 >= *bytes && self.0.is_multiple_of(*bytes));
        match whole.max_by_key(|(_, bytes)| *bytes) {
            Some((unit, bytes)) => write!(f, "{}{unit}", self.0 / bytes),
            None => f.write_str("0B"),
        }
    }
}

// === impl Rate ===

impl FromToml for Rate {
    const EXPECTED: &'static str = "a whole number per second, at least 1";
    const EXAMPLE: &'static str = "1000 or \"1000/s\"";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        let number = match (value.as_wide_int(), value.as_str()) {
            (Some(number), _) => number.to_string(),
            (None, Some(text)) => match text.strip_suffix("/s") {
                Some(number) => number.trim_end().to_owned(),
                None => return Err(format!("`{text}` does not end in `/s`")),
            },
            (None, None) => return Err(this_is(value)),
        };
        if number.chars().all(|c| c == '0') && !number.is_empty() {
            return Err("0 would let nothing through".to_owned());
        }
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        match number.parse() {
            Ok(rate) if digits => Ok(Self(rate)),
            _ if digits => Err(format!("{number} is too large")),
            _ => Err(format!("`{number}` is not a whole number above 0")),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/s", self.0)
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    check_form(text)?;
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = DURATION_UNITS.iter();
    while let Some((number, after)) = split_number(rest) {
        let length = after
            .find(|c: char| c.is_ascii_digit())
            .unwrap_or(after.len());
        let (unit, next) = after.split_at(length);
        if unit.is_empty() && number == text {
            return Err(format!(
                "`{text}` has no unit: write \"{text}s\" if you mean seconds"
            ));
        }
        if unit.is_empty() {
            return Err(format!("`{text}` has no unit after its last number"));
        }
        if !DURATION_UNITS.iter().any(|(name, _)| *name == unit) {
            return Err(unknown_unit(
                unit,
                DURATION_UNITS.iter().map(|(name, _)| *name),
            ));
        }
        // `units` goes on from the last unit: what it has passed already is out of order or given twice.
        let Some((_, milliseconds)) = units.find(|(name, _)| *name == unit) else {
            return Err(format!("`{text}`: units go from large to small, each once"));
        };
        let part = number
            .parse::<u64>()
            .ok()
            .and_then(|number| number.checked_mul(*milliseconds));
        total = part
            .and_then(|part| total.checked_add(part))
            .ok_or_else(|| format!("`{text}` is too long"))?;
        rest = next;
    }
    if rest.is_empty() {
        return Ok(Duration::from_millis(total));
    }
    Err(format!("`{text}` is not a duration"))
}

fn split_number(text: &str) -> Option<(&str, &str)> {
    let length = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    (length > 0).then(|| text.split_at(length))
}

/// Slips that are the same for all units.
fn check_form(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("this is empty".to_owned());
    }
    if text.contains(char::is_whitespace) {
        let closed: String = text.split_whitespace().collect();
        return Err(format!("`{text}` holds a blank: write \"{closed}\""));
    }
    if text.contains(['.', ',']) {
        return Err(format!(
            "`{text}` has a fraction: write a whole number of a smaller unit"
        ));
    }
    Ok(())
}

fn unknown_unit<'a>(unit: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let begins = |long: &str, short: &str| long.to_lowercase().starts_with(&short.to_lowercase());
    let same = known.clone().find(|name| name.eq_ignore_ascii_case(unit));
    let spelt_out = || {
        known
            .clone()
            .filter(|name| begins(unit, name))
            .max_by_key(|name| name.len())
    };
    let cut_short = || known.clone().find(|name| begins(name, unit));
    match same
        .or_else(spelt_out)
        .or_else(cut_short)
        .or_else(|| nearest(unit, known.clone()))
    {
        Some(near) => format!("unknown unit `{unit}`, did you mean `{near}`?"),
        None => format!("unknown unit `{unit}`"),
    }
}

fn push_part(shown: &mut String, count: u64, unit: &str) {
    if count > 0 {
        shown.push_str(&format!("{count}{unit}"));
    }
}
