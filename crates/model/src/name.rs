//! Names people give to functions and triggers. One rule for both, so that a name is safe as a file name, a label, a
//! URL segment and an environment value.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// A name that breaks the rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to 63 characters out of a-z, 0-9, `-` and `_`, and begins with a letter or digit"
)]
pub struct InvalidName;

fn check(text: &str) -> Result<(), InvalidName> {
    let word = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
    let bytes = text.as_bytes();
    let good = (1..=63).contains(&bytes.len())
        && word(bytes[0])
        && bytes.iter().all(|&c| word(c) || c == b'-' || c == b'_');
    if good { Ok(()) } else { Err(InvalidName) }
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// Checks `text` against the rule: `[a-z0-9][a-z0-9_-]{0,62}`.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                check(text).map(|()| Self(text.into()))
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidName;

            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }
    };
}

name! {
    /// The name of a function, unique in a hub.
    FunctionName
}

name! {
    /// The name of a trigger, unique in a hub.
    TriggerName
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rule() {
        for good in ["a", "9", "thumb-nail_2", &"x".repeat(63)] {
            assert!(FunctionName::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "-a",
            "_a",
            "A",
            "a b",
            "a/b",
            "..",
            "é",
            &"x".repeat(64),
        ] {
            assert!(FunctionName::new(bad).is_err(), "{bad}");
        }
    }
}
