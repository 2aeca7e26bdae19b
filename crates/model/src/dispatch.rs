//! The one way in: an event is offered, and a receipt or a refusal comes back.

use std::time::Duration;

use async_trait::async_trait;

use crate::{CursorEntry, Event, Function, FunctionName, Invocation, RequestId, TriggerName};

/// An event offered to a function.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The function that is to run.
    pub function: FunctionName,
    /// The trigger that offers; `None` for a call through the API.
    pub trigger: Option<TriggerName>,
    /// What happened.
    pub event: Event,
    /// How the same occurrence is recognised.
    pub identity: Identity,
    /// Notes of the trigger that are written in the same transaction, whether the event is new or known.
    pub cursors: Vec<CursorEntry>,
}

/// How an occurrence is recognised when it is offered again. Always within one trigger (or within the API).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// Every offer is an occurrence of its own.
    Unique,
    /// The occurrence has a name. Offered again within `window`, it gets the RequestId it got the first time.
    Key {
        /// The name; hashed before it is stored.
        key: String,
        /// How long it is remembered after its acceptance.
        window: Duration,
        /// Digest of what was asked for: the same key with another digest is [`Rejected::KeyReused`]. `None` does
        /// not compare.
        digest: Option<[u8; 32]>,
    },
    /// The occurrence has a place in an ordered stream (a Kafka partition, a timer). Whatever lies at or below the
    /// stream's watermark was accepted before, for ever.
    Position {
        /// Which stream of the trigger, at most 255 bytes.
        stream: String,
        /// The place; positions only grow, and may have gaps.
        position: u64,
    },
}

/// The event is on disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Receipt {
    /// Accepted now, under this id.
    New(RequestId),
    /// Accepted before, under this id.
    Known(RequestId),
    /// Accepted before: it lies at or below its stream's watermark. Its id is not looked up.
    Past,
}

/// Why there is no receipt. All but `Unknown` mean: not accepted, and will never run.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Rejected {
    /// A limit on accepted events per second is used up.
    #[error("over the limit of {limit} events a second of {scope}")]
    OverLimit {
        /// When there is room again.
        retry_after: Duration,
        /// Whose limit: `the hub`, `function NAME` or `trigger NAME`.
        scope: String,
        /// The limit, in events per second.
        limit: u32,
    },
    /// Too many accepted invocations wait for their start.
    #[error("{scope} has {limit} invocations waiting, which is its limit")]
    QueueFull {
        /// `the hub` or `function NAME`.
        scope: String,
        /// The limit, in invocations.
        limit: u64,
    },
    /// No function has this name.
    #[error("there is no function `{0}`")]
    UnknownFunction(FunctionName),
    /// The event is larger than the hub takes.
    #[error(
        "the event has {size} bytes, data and attributes together, more than the {limit} allowed: `max_event` in [hub]"
    )]
    TooLarge {
        /// Its size in bytes.
        size: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The event's attributes are larger than any hub takes.
    #[error(
        "the event has {size} bytes of attributes, more than the {limit} allowed: what is large belongs in the data"
    )]
    AttributesTooLarge {
        /// Their size in bytes, all together.
        size: u64,
        /// The limit in bytes: [`crate::MAX_ATTRIBUTE_BYTES`].
        limit: u64,
    },
    /// The event breaks CloudEvents' rules.
    #[error("the event is not valid: {0}")]
    Invalid(String),
    /// The key was used before for something else.
    #[error("the idempotency key was used before with another request")]
    KeyReused,
    /// The hub is stopping.
    #[error("the hub is stopping and takes no more events")]
    Draining,
    /// The disk is full; accepted work goes on.
    #[error(
        "no more events are taken until the disk of the data directory has room; `tripline doctor` says how much"
    )]
    StorageFull,
    /// The journal cannot be written; nothing was stored.
    #[error("the journal is not available")]
    Unavailable,
    /// The journal failed while the event was being written: it may or may not have been accepted.
    #[error(
        "the journal failed while the event was being written: whether it was accepted is not known"
    )]
    Unknown,
}

/// The hub stops, and nobody is waited for any more. What was accepted stays accepted, and what runs may run on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the hub is stopping")]
pub struct Stopping;

/// Takes events in. Every answer comes after the fact is durable.
#[async_trait]
pub trait Dispatch: Send + Sync + 'static {
    /// Offers one event and does not wait for the limiter: for push sources, whose caller can be told to come back.
    async fn try_dispatch(&self, offer: Offer) -> Result<Receipt, Rejected>;

    /// Offers events in order, at the cost of one hand-over, and does not wait for the limiter.
    async fn try_dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>>;

    /// Offers events in order and waits while a limit or a full queue stands in the way: for pull sources. One
    /// answer per offer; dropping the future gives up waiting, what was accepted stays accepted.
    async fn dispatch_all(&self, offers: Vec<Offer>) -> Vec<Result<Receipt, Rejected>>;

    /// The function of that name.
    fn function(&self, name: &FunctionName) -> Option<Function>;

    /// Waits until the invocation has ended; `None` if there is no such invocation (any more).
    ///
    /// # Errors
    /// The hub stops before that.
    async fn ended(&self, request_id: RequestId) -> Result<Option<Invocation>, Stopping>;
}

// === impl Receipt ===

impl Receipt {
    /// The id, where it is known.
    pub fn request_id(&self) -> Option<RequestId> {
        match self {
            Self::New(id) | Self::Known(id) => Some(*id),
            Self::Past => None,
        }
    }
}

// === impl Rejected ===

impl Rejected {
    /// All that [`Self::as_str`] may be.
    pub const WORDS: [&str; 11] = [
        "over_limit",
        "queue_full",
        "unknown_function",
        "too_large",
        "attributes_too_large",
        "invalid",
        "key_reused",
        "draining",
        "storage_full",
        "unavailable",
        "unknown",
    ];

    /// A short word for metrics and machines.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::OverLimit { .. } => "over_limit",
            Self::QueueFull { .. } => "queue_full",
            Self::UnknownFunction(_) => "unknown_function",
            Self::TooLarge { .. } => "too_large",
            Self::AttributesTooLarge { .. } => "attributes_too_large",
            Self::Invalid(_) => "invalid",
            Self::KeyReused => "key_reused",
            Self::Draining => "draining",
            Self::StorageFull => "storage_full",
            Self::Unavailable => "unavailable",
            Self::Unknown => "unknown",
        }
    }

    /// Whether offering the same event again later can succeed.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::OverLimit { .. }
            | Self::QueueFull { .. }
            | Self::Draining
            | Self::StorageFull
            | Self::Unavailable
            | Self::Unknown => true,
            Self::UnknownFunction(_)
            | Self::TooLarge { .. }
            | Self::AttributesTooLarge { .. }
            | Self::Invalid(_)
            | Self::KeyReused => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rejection_has_one_of_the_words() {
        let function = FunctionName::new("f").unwrap();
        let (scope, limit, size) = (String::new(), 1, 2);
        let all = [
            Rejected::OverLimit {
                retry_after: Duration::ZERO,
                scope: scope.clone(),
                limit: 1,
            },
            Rejected::QueueFull { scope, limit },
            Rejected::UnknownFunction(function),
            Rejected::TooLarge { size, limit },
            Rejected::AttributesTooLarge { size, limit },
            Rejected::Invalid(String::new()),
            Rejected::KeyReused,
            Rejected::Draining,
            Rejected::StorageFull,
            Rejected::Unavailable,
            Rejected::Unknown,
        ];
        let words: Vec<_> = all.iter().map(Rejected::as_str).collect();
        assert_eq!(words, Rejected::WORDS);
    }
}
