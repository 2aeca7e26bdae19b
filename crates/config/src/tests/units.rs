//! Durations, sizes, rates and addresses: read, shown, and refused with the reason.

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use proptest::prelude::*;

use super::read;
use crate::{ByteSize, Document, FromToml, Rate, format_duration};

/// Compares why each value is refused.
fn check_refused<T: FromToml>(cases: &[(&str, &str)]) {
    for (value, why) in cases {
        let document = Document::new("f", format!("value = {value}"));
        let errors = document
            .read(|root| root.required::<T>("value").map(drop))
            .expect_err(value);
        let messages: Vec<_> = errors.iter().map(|error| error.message.as_str()).collect();
        assert_eq!(messages, [format!("wrong value for `value`: {why}")]);
    }
}

#[test]
fn durations_that_are_wrong_say_why() {
    check_refused::<Duration>(&[
        ("30", "30 has no unit: write \"30s\" if you mean seconds"),
        (
            "'30'",
            "`30` has no unit: write \"30s\" if you mean seconds",
        ),
        ("'1h30'", "`1h30` has no unit after its last number"),
        ("'5 m'", "`5 m` holds a blank: write \"5m\""),
        (
            "'1.5h'",
            "`1.5h` has a fraction: write a whole number of a smaller unit",
        ),
        ("'10mins'", "unknown unit `mins`, did you mean `m`?"),
        ("'5msec'", "unknown unit `msec`, did you mean `ms`?"),
        ("'5M'", "unknown unit `M`, did you mean `m`?"),
        ("'5x'", "unknown unit `x`"),
        ("'1m1h'", "`1m1h`: units go from large to small, each once"),
        ("'1h1h'", "`1h1h`: units go from large to small, each once"),
        ("''", "this is empty"),
        ("'-5s'", "`-5s` is not a duration"),
        ("'s'", "`s` is not a duration"),
        ("'213503982334602d'", "`213503982334602d` is too long"),
        ("true", "this is a boolean"),
    ]);
}

#[test]
fn sizes_that_are_wrong_say_why() {
    check_refused::<ByteSize>(&[
        ("512", "512 has no unit: write \"512B\" if you mean bytes"),
        (
            "'512'",
            "`512` has no unit: write \"512B\" if you mean bytes",
        ),
        ("'10mb'", "unknown unit `mb`, did you mean `MB`?"),
        ("'5M'", "unknown unit `M`, did you mean `MiB`?"),
        ("'5parsecs'", "unknown unit `parsecs`"),
        (
            "'1.5GiB'",
            "`1.5GiB` has a fraction: write a whole number of a smaller unit",
        ),
        ("'5 MB'", "`5 MB` holds a blank: write \"5MB\""),
        ("'MiB'", "`MiB` does not start with a whole number"),
        ("''", "this is empty"),
        ("'99999999TiB'", "`99999999TiB` is too large"),
    ]);
}

#[test]
fn rates_that_are_wrong_say_why() {
    check_refused::<Rate>(&[
        ("0", "0 would let nothing through"),
        ("'0/s'", "0 would let nothing through"),
        ("-1", "`-1` is not a whole number above 0"),
        ("'60/m'", "`60/m` does not end in `/s`"),
        ("'x/s'", "`x` is not a whole number above 0"),
        ("'/s'", "`` is not a whole number above 0"),
        ("5000000000", "5000000000 is too large"),
    ]);
}

#[test]
fn addresses_that_are_wrong_say_why() {
    check_refused::<SocketAddr>(&[
        (
            "'localhost:8080'",
            "`localhost` is a name, not an IP address",
        ),
        ("'127.0.0.1'", "`127.0.0.1` is not an address"),
        ("':8080'", "`:8080` is not an address"),
        ("'127.0.0.1:99999'", "`127.0.0.1:99999` is not an address"),
    ]);
}

#[test]
fn durations_are_read_and_shown() {
    let cases = [
        ("0s", 0, "0s"),
        ("250ms", 250, "250ms"),
        ("30s", 30_000, "30s"),
        ("5m", 300_000, "5m"),
        ("2h", 7_200_000, "2h"),
        ("7d", 604_800_000, "7d"),
        ("1h30m", 5_400_000, "1h30m"),
        ("90m", 5_400_000, "1h30m"),
        ("24h", 86_400_000, "24h"),
        ("1d2h3m4s5ms", 93_784_005, "26h3m4s5ms"),
        ("2d2h3m4s5ms", 180_184_005, "2d2h3m4s5ms"),
        ("1m500ms", 60_500, "1m500ms"),
    ];
    for (text, milliseconds, shown) in cases {
        let duration = Duration::from_millis(milliseconds);
        assert_eq!(
            read::<Duration>(&format!("'{text}'")),
            Some(duration),
            "{text}"
        );
        assert_eq!(format_duration(duration), shown);
    }
    assert_eq!(format_duration(Duration::new(1, 2_003_004)), "1s2ms3us4ns");
}

#[test]
fn sizes_are_read_and_shown() {
    let cases = [
        ("0B", 0, "0B"),
        ("100B", 100, "100B"),
        ("512KiB", 512 << 10, "512KiB"),
        ("1024KiB", 1 << 20, "1MiB"),
        ("10MB", 10_000_000, "10MB"),
        ("1KB", 1_000, "1KB"),
        ("3TiB", 3 << 40, "3TiB"),
        ("1001B", 1_001, "1001B"),
        ("18446744073709551615B", u64::MAX, "18446744073709551615B"),
    ];
    for (text, bytes, shown) in cases {
        assert_eq!(
            read::<ByteSize>(&format!("'{text}'")),
            Some(ByteSize(bytes)),
            "{text}"
        );
        assert_eq!(ByteSize(bytes).to_string(), shown);
    }
}

proptest! {
    #[test]
    fn what_is_shown_can_be_read_back(milliseconds: u64, bytes: u64, rate: NonZeroU32) {
        let duration = Duration::from_millis(milliseconds);
        prop_assert_eq!(read::<Duration>(&format!("'{}'", format_duration(duration))), Some(duration));
        prop_assert_eq!(read::<ByteSize>(&format!("'{}'", ByteSize(bytes))), Some(ByteSize(bytes)));
        prop_assert_eq!(read::<Rate>(&format!("'{}'", Rate(rate))), Some(Rate(rate)));
    }
}
