//! Secrets that others have to show.

use std::fmt;
use std::io;

use subtle::ConstantTimeEq;

/// A secret that this process made, and that others show to be let in. It has no `==`, which ends at the first difference
/// and so tells how much of a guess is right: what is shown is compared by [`Key::matches`] alone.
#[derive(Clone)]
pub(crate) struct Key(String);

// === impl Key ===

impl Key {
    /// A new one, of 64 hexadecimal digits.
    pub(crate) fn random() -> io::Result<Self> {
        let mut random = [0_u8; 32];
        getrandom::fill(&mut random)?;
        let digits = random.iter().map(|byte| format!("{byte:02x}"));
        Ok(Self(digits.collect()))
    }

    /// Whether it is what was shown; a wrong guess takes the same time, however near it is.
    pub(crate) fn matches(&self, shown: &[u8]) -> bool {
        self.0.as_bytes().ct_eq(shown).into()
    }

    /// The text itself, for who is to show it.
    pub(crate) fn hand_out(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Does not compile for what has `==`: which of the two is meant would not be known.
    trait HasNoEquality<Why> {
        fn is_so() {}
    }
    impl<T> HasNoEquality<()> for T {}
    impl<T: PartialEq> HasNoEquality<bool> for T {}

    #[test]
    fn a_key_matches_itself_and_nothing_else() {
        <Key as HasNoEquality<_>>::is_so();
        let (key, other) = (Key::random().unwrap(), Key::random().unwrap());
        let text = key.hand_out().to_owned();
        assert_eq!(text.len(), 64);
        assert!(key.matches(text.as_bytes()));
        let longer = format!("{text}0");
        for wrong in ["", &text[..63], &longer, other.hand_out()] {
            assert!(!key.matches(wrong.as_bytes()), "{wrong}");
        }
        assert!(!format!("{key:?}").contains(&text));
    }
}
