//! A Kafka record, plain or a CloudEvent.

use tripline_kafka::fuzz::{Record, event};
use tripline_model::Timestamp;

use super::NOW;
use crate::events;
use crate::message::Message;

/// `TIMESTAMP KEY` (either may be `-`), headers (without a value: `name:`), value.
pub(crate) fn kafka(bytes: &[u8]) {
    let message = Message::of(bytes);
    let mut words = message.first.splitn(2, |byte| *byte == b' ');
    let timestamp = words.next().and_then(|word| std::str::from_utf8(word).ok());
    let timestamp = timestamp.and_then(|word| word.parse().ok());
    let key = words.next().filter(|key| *key != b"-");
    let headers = message.headers.iter().filter_map(|(name, value)| {
        let value = Some(*value).filter(|value| !value.is_empty());
        Some((std::str::from_utf8(name).ok()?, value))
    });
    let headers: Vec<_> = headers.collect();
    let read = || {
        let (headers, value) = (headers.clone(), message.body);
        let record = Record {
            timestamp,
            key,
            value,
            headers,
        };
        event(record, NOW)
    };
    let seen = read();
    assert_eq!(seen, read());
    events::check(&seen);
    assert_eq!(seen.extensions["kafkaoffset"], "42");
    assert_eq!(seen.extensions.contains_key("kafkakey"), key.is_some());
    if seen.source == "kafka://cluster/orders" {
        assert_eq!(seen.data.as_deref(), message.body);
        let own = timestamp.map(Timestamp::from_millis);
        assert_eq!(seen.time, own.filter(|at| at.is_rfc3339()).unwrap_or(NOW));
    }
}
