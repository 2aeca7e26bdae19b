//! The receipt.

use std::fmt;
use std::str::FromStr;

use uuid::{Builder, Uuid};

use crate::Timestamp;

/// The receipt for an accepted event: a UUID version 7, so ids sort by the time of acceptance.
///
/// Whoever holds one knows that the event is on disk and will be run at most once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(Uuid);

/// Text that is not a RequestId.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a RequestId is a UUID such as 019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e")]
pub struct InvalidRequestId;

impl RequestId {
    /// Makes an id out of the time, and ten bytes that are unique within that millisecond.
    pub fn new(at: Timestamp, unique: [u8; 10]) -> Self {
        let millis = u64::try_from(at.as_millis()).unwrap_or(0);
        Self(Builder::from_unix_timestamp_millis(millis, &unique).into_uuid())
    }

    /// The id whose sixteen bytes these are. Any bytes are taken: they come from our own journal.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The id as sixteen bytes, in an order that is the order of ids.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// When the id was made, to the millisecond.
    pub fn timestamp(&self) -> Timestamp {
        let millis = self.0.as_bytes()[..6]
            .iter()
            .fold(0_i64, |sum, byte| (sum << 8) | i64::from(*byte));
        Timestamp::from_millis(millis)
    }

    /// The smallest id that can be made at `at`: a bound for key ranges.
    pub fn floor(at: Timestamp) -> Self {
        let millis = at.as_millis().clamp(0, (1 << 48) - 1).to_be_bytes();
        let mut bytes = [0; 16];
        bytes[..6].copy_from_slice(&millis[2..]);
        Self(Uuid::from_bytes(bytes))
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for RequestId {
    type Err = InvalidRequestId;

    fn from_str(text: &str) -> Result<Self, InvalidRequestId> {
        // Only the form we hand out: one id has one spelling, in URLs and in logs.
        let id = Uuid::try_parse(text).map_err(|_| InvalidRequestId)?;
        let plain = text.len() == 36 && !text.bytes().any(|c| c.is_ascii_uppercase());
        if plain && id.get_version_num() == 7 {
            Ok(Self(id))
        } else {
            Err(InvalidRequestId)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_back() {
        let id = RequestId::new(Timestamp::from_millis(1_795_555_058_243), [7; 10]);
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(id.timestamp().as_millis(), 1_795_555_058_243);
        assert_eq!(RequestId::from_bytes(*id.as_bytes()), id);
    }

    #[test]
    fn other_spellings_are_refused() {
        let id = RequestId::new(Timestamp::from_millis(1_795_555_058_243), [0xab; 10]);
        let text = id.to_string();
        for bad in [
            text.to_uppercase(),
            text.replace('-', ""),
            format!("{{{text}}}"),
            "../../etc/passwd".to_owned(),
            "00000000-0000-4000-8000-000000000000".to_owned(),
        ] {
            assert_eq!(bad.parse::<RequestId>(), Err(InvalidRequestId), "{bad}");
        }
    }

    #[test]
    fn ids_sort_by_time_and_floor_is_below() {
        let at = Timestamp::from_millis(1_795_555_058_243);
        let (low, high) = (RequestId::new(at, [0; 10]), RequestId::new(at, [255; 10]));
        let later = RequestId::new(Timestamp::from_millis(at.as_millis() + 1), [0; 10]);
        assert!(low < high && high < later);
        assert!(RequestId::floor(at) < low && high < RequestId::floor(later.timestamp()));
    }
}
