//! How TOML values become plain Rust types.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;

use crate::value::{FromToml, Value};

/// Words of a text that stands where an array belongs, which are shown as one.
const MAX_WORDS: usize = 4;
/// Longer ones are not shown.
const MAX_WORD_BYTES: usize = 64;

impl FromToml for String {
    const EXPECTED: &'static str = "a string";
    const EXAMPLE: &'static str = "\"text\"";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        text(value).map(str::to_owned)
    }
}

impl FromToml for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| this_is(value))
    }
}

impl FromToml for u16 {
    const EXPECTED: &'static str = "an integer from 0 to 65535";
    const EXAMPLE: &'static str = "8080";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        integer(value)
    }
}

impl FromToml for u32 {
    const EXPECTED: &'static str = "an integer from 0 to 4294967295";
    const EXAMPLE: &'static str = "100";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        integer(value)
    }
}

impl FromToml for u64 {
    const EXPECTED: &'static str = "an integer from 0 to 18446744073709551615";
    const EXAMPLE: &'static str = "100";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        integer(value)
    }
}

impl FromToml for i64 {
    const EXPECTED: &'static str = "an integer";
    const EXAMPLE: &'static str = "100";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        integer(value)
    }
}

impl FromToml for NonZeroU32 {
    const EXPECTED: &'static str = "an integer from 1 to 4294967295";
    const EXAMPLE: &'static str = "4";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        NonZeroU32::new(integer(value)?).ok_or_else(|| "0 is too small".to_owned())
    }
}

impl FromToml for f64 {
    const EXPECTED: &'static str = "a number";
    const EXAMPLE: &'static str = "0.2";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        // `1` is as good as `1.0`; integers this large are no ratios, so that rounding them does no harm.
        let number = value
            .as_float()
            .or_else(|| value.as_int().map(|number| number as f64));
        let number = number.ok_or_else(|| this_is(value))?;
        if number.is_finite() {
            Ok(number)
        } else {
            Err("this is not a finite number".to_owned())
        }
    }
}

impl<T: FromToml> FromToml for Vec<T> {
    const EXPECTED: &'static str = "an array";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        let items = value.as_array().ok_or_else(|| this_is(value))?;
        let count = items.len();
        let read: Vec<T> = items.iter().filter_map(Value::read).collect();
        // Each wrong item has recorded its own error, at its own place.
        if read.len() == count {
            Ok(read)
        } else {
            Err(String::new())
        }
    }

    fn expected_for(value: &Value<'_>) -> String {
        let is_of_strings = T::EXPECTED == String::EXPECTED;
        match value.as_str().filter(|_| is_of_strings) {
            Some(text) if value.may_be_repeated() => match words(text) {
                Some(words) => format!("{}, e.g. {words}", Self::EXPECTED),
                None => Self::expected(),
            },
            _ => Self::expected(),
        }
    }

    fn example() -> String {
        match T::example() {
            item if item.is_empty() => item,
            item => format!("[{item}]"),
        }
    }
}

impl FromToml for SocketAddr {
    const EXPECTED: &'static str = "an IP address and a port";
    const EXAMPLE: &'static str = "\"127.0.0.1:8080\"";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        let text = text(value)?;
        text.parse().map_err(|_| match text.rsplit_once(':') {
            Some((host, port))
                if port.parse::<u16>().is_ok() && host.starts_with(char::is_alphabetic) =>
            {
                format!("`{host}` is a name, not an IP address")
            }
            _ => format!("`{text}` is not an address"),
        })
    }
}

impl FromToml for PathBuf {
    const EXPECTED: &'static str = "a path";
    const EXAMPLE: &'static str = "\"./data\"";

    fn from_toml(value: &Value<'_>) -> Result<Self, String> {
        match text(value)? {
            "" => Err("the path is empty".to_owned()),
            path if path.contains('\0') => Err("a path cannot hold a NUL character".to_owned()),
            path => Ok(Self::from(path)),
        }
    }
}

/// The first words of a text as an array of strings. `None` if it has none, or one that is long or would need escapes.
fn words(text: &str) -> Option<String> {
    let is_plain = |word: &&str| word.len() <= MAX_WORD_BYTES && !word.contains(['"', '\'', '\\']);
    let mut rest = text.split_whitespace();
    let first: Vec<&str> = rest.by_ref().take(MAX_WORDS).collect();
    if first.is_empty() || !first.iter().all(is_plain) {
        return None;
    }
    let more = rest.next().map_or("", |_| ", …");
    let quoted: Vec<String> = first.iter().map(|word| format!("\"{word}\"")).collect();
    Some(format!("[{}{more}]", quoted.join(", ")))
}

/// The text of a string, or what is there instead.
pub(crate) fn text<'v>(value: &'v Value<'_>) -> Result<&'v str, String> {
    value.as_str().ok_or_else(|| this_is(value))
}

pub(crate) fn this_is(value: &Value<'_>) -> String {
    format!("this is {}", value.kind_name())
}

fn integer<T: TryFrom<i128>>(value: &Value<'_>) -> Result<T, String> {
    let number = match value.as_wide_int() {
        Some(number) => number,
        None if value.kind_name() == "an integer" => {
            return Err("the number is too large".to_owned());
        }
        None => return Err(this_is(value)),
    };
    T::try_from(number).map_err(|_| {
        format!(
            "{number} is too {}",
            if number < 0 { "small" } else { "large" }
        )
    })
}
