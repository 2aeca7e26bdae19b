//! Which of librdkafka's properties may be set, and why the others may not.

use crate::config::GroupProtocol;

/// What the hub says about a property.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Passed on as written.
    Allowed,
    /// Passed on; its value is a secret and is not written in the file.
    Secret,
    /// Refused, with the reason.
    Refused(&'static str),
    /// Not known here.
    Unknown,
}

const ALLOWED: [&str; 49] = [
    "bootstrap.servers",
    "broker.address.family",
    "broker.address.ttl",
    "check.crcs",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "connections.max.idle.ms",
    "coordinator.query.interval.ms",
    "enable.metrics.push",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "group.instance.id",
    "group.remote.assignor",
    "heartbeat.interval.ms",
    "isolation.level",
    "max.partition.fetch.bytes",
    "max.poll.interval.ms",
    "metadata.max.age.ms",
    "partition.assignment.strategy",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "security.protocol",
    "session.timeout.ms",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.keystore.location",
    "topic.metadata.refresh.interval.ms",
];

const SECRET: [&str; 4] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.password",
];

const BEHIND_RECEIPTS: &str =
    "the hub commits offsets itself, only for records that are safe in its journal";
const LOADS_CODE: &str = "it makes librdkafka load or run code that is not part of the hub";
const CALLBACK: &str = "the hub handles these events itself";

const REFUSED: [(&str, &str); 23] = [
    ("auto.commit.interval.ms", BEHIND_RECEIPTS),
    ("enable.auto.commit", BEHIND_RECEIPTS),
    ("enable.auto.offset.store", BEHIND_RECEIPTS),
    ("offset.store.method", BEHIND_RECEIPTS),
    ("offset.store.path", BEHIND_RECEIPTS),
    ("plugin.library.paths", LOADS_CODE),
    ("sasl.kerberos.kinit.cmd", LOADS_CODE),
    ("ssl.engine.location", LOADS_CODE),
    ("ssl.engine.id", LOADS_CODE),
    ("ssl.providers", LOADS_CODE),
    ("interceptors", LOADS_CODE),
    ("allow.auto.create.topics", "the hub never creates topics"),
    (
        "enable.partition.eof",
        "the hub sees the end of a partition without it",
    ),
    (
        "metadata.broker.list",
        "it is another name of `bootstrap.servers`",
    ),
    (
        "statistics.interval.ms",
        "the hub measures lag and health at its own pace",
    ),
    ("debug", "the hub needs librdkafka's log as it is"),
    ("log_level", "the hub needs librdkafka's log as it is"),
    ("log.queue", "the hub needs librdkafka's log as it is"),
    (
        "topic.blacklist",
        "`topics` says which topics are read, and only those are",
    ),
    (
        "enable.sasl.oauthbearer.unsecure.jwt",
        "unsigned tokens authenticate nobody",
    ),
    ("error_cb", CALLBACK),
    ("rebalance_cb", CALLBACK),
    ("offset_commit_cb", CALLBACK),
];

/// What the brokers decide in the `consumer` protocol, each with what takes its place.
const CLASSIC_ONLY: [(&str, &str); 3] = [
    (
        "heartbeat.interval.ms",
        "in the `consumer` protocol the brokers set it: `group.consumer.heartbeat.interval.ms`",
    ),
    (
        "partition.assignment.strategy",
        "in the `consumer` protocol the brokers assign: `group.remote.assignor` names how",
    ),
    (
        "session.timeout.ms",
        "in the `consumer` protocol the brokers set it: `group.consumer.session.timeout.ms`",
    ),
];

/// Why the property `name` means nothing in that protocol, if so.
pub(crate) fn misplaced(name: &str, protocol: GroupProtocol) -> Option<&'static str> {
    match protocol {
        GroupProtocol::Classic => (name == "group.remote.assignor")
            .then_some("in the `classic` protocol `partition.assignment.strategy` says how"),
        GroupProtocol::Consumer => {
            let mut known = CLASSIC_ONLY.iter();
            known
                .find(|(property, _)| *property == name)
                .map(|(_, why)| *why)
        }
    }
}

/// What the hub says about the property `name`.
pub(crate) fn verdict(name: &str) -> Verdict {
    if ALLOWED.contains(&name) {
        return Verdict::Allowed;
    }
    if SECRET.contains(&name) {
        return Verdict::Secret;
    }
    if name.starts_with("test.mock.") {
        return Verdict::Refused("it replaces the brokers with a simulation");
    }
    if name.starts_with("sasl.oauthbearer.") || name.starts_with("sasl.kerberos.") {
        return Verdict::Refused(
            "the hub is built for PLAIN and SCRAM logins and for client certificates",
        );
    }
    REFUSED
        .iter()
        .find(|(refused, _)| *refused == name)
        .map_or(Verdict::Unknown, |(_, why)| Verdict::Refused(why))
}

/// What a property that is a whole number counts, by the end of its name; `None` for those that are words or text.
/// librdkafka reads a number as far as it goes and drops the rest: `5m` would be 5 milliseconds.
pub(crate) fn counts(name: &str) -> Option<&'static str> {
    let (_, unit) = name.rsplit_once('.')?;
    match unit {
        "ms" | "ttl" => Some("milliseconds"),
        "bytes" => Some("bytes"),
        "kbytes" => Some("KiB"),
        "messages" => Some("records"),
        _ => None,
    }
}

/// Every name that may be written, for suggestions.
pub(crate) fn settable() -> impl Iterator<Item = &'static str> {
    ALLOWED.into_iter().chain(SECRET)
}

#[cfg(test)]
mod tests;
