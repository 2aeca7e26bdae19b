//! Where an invocation stands in a trace (W3C Trace Context).
//!
//! Nothing of it is kept beside the journal: the ids follow from the RequestId and from what the event brought along, so
//! that a new life of the hub goes on with the same trace.

use std::fmt;

use crate::{Event, Invocation, RequestId};

/// The extension that holds what the sender said (CloudEvents' extension for distributed tracing).
pub const TRACEPARENT: &str = "traceparent";

/// A position in a trace, as in `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceParent {
    /// The trace. Not all zero.
    pub trace: [u8; 16],
    /// The span. Not all zero.
    pub span: [u8; 8],
    /// Whether the trace is recorded.
    pub sampled: bool,
}

/// One invocation in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvocationTrace {
    /// The trace: the sender's, or one of its own, which is the RequestId.
    pub trace: [u8; 16],
    /// The sender's span, if it named one.
    pub parent: Option<[u8; 8]>,
    /// Whether it is recorded: as the sender says, else by chance.
    pub sampled: bool,
    id: RequestId,
}

/// The spans of an invocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// From the acceptance to the end.
    Invocation,
    /// From the offer to the receipt.
    Accept,
    /// From the acceptance to the start.
    Wait,
    /// From the start to the end. The function's own spans belong below it.
    Run,
}

// === impl TraceParent ===

impl TraceParent {
    /// Reads a `traceparent`; `None` if it is none. A version that is not known yet is read as far as it is.
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('-');
        let (version, trace, span, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let [version] = hex(version)?;
        if version == 0xff || (version == 0 && parts.next().is_some()) {
            return None;
        }
        let (trace, span, [flags]) = (hex(trace)?, hex(span)?, hex(flags)?);
        let is_named = trace != [0; 16] && span != [0; 8];
        let sampled = flags & 1 == 1;
        is_named.then_some(Self {
            trace,
            span,
            sampled,
        })
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("00-")?;
        self.trace.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        f.write_str("-")?;
        self.span.iter().try_for_each(|b| write!(f, "{b:02x}"))?;
        write!(f, "-{:02x}", u8::from(self.sampled))
    }
}

/// Lower-case hex digits, two for each byte.
fn hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digits = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    if text.len() != 2 * N || !text.bytes().all(digits) {
        return None;
    }
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(bytes)
}

// === impl InvocationTrace ===

impl InvocationTrace {
    /// The trace of an invocation. `share` of those whose sender named none are recorded: 0 is none, 1 is all.
    pub fn of(id: RequestId, event: &Event, share: f64) -> Self {
        let sender = event.extensions.get(TRACEPARENT);
        match sender.and_then(|text| TraceParent::parse(text)) {
            Some(sender) => Self {
                trace: sender.trace,
                parent: Some(sender.span),
                sampled: sender.sampled,
                id,
            },
            None => Self {
                trace: *id.as_bytes(),
                parent: None,
                sampled: is_chosen(id, share),
                id,
            },
        }
    }

    /// The id of a span.
    pub fn span(&self, span: Span) -> [u8; 8] {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.id.as_bytes()[8..]);
        // The first byte of this half of a UUID is never zero, and stays so.
        bytes[7] ^= match span {
            Span::Run => 0,
            Span::Invocation => 0x5a,
            Span::Accept => 0xa5,
            Span::Wait => 0xff,
        };
        bytes[6] ^= match span {
            Span::Run => 0,
            _ => 0x96,
        };
        bytes
    }

    /// The trace context for the function, so that its spans are found below its run.
    pub fn for_function(&self) -> TraceParent {
        TraceParent {
            trace: self.trace,
            span: self.span(Span::Run),
            sampled: self.sampled,
        }
    }
}

impl Invocation {
    /// The `traceparent` for its function: with traces (`share` of them recorded) that of its run, without them what the
    /// sender said.
    pub fn traceparent(&self, share: Option<f64>) -> Option<TraceParent> {
        let Some(share) = share else {
            return TraceParent::parse(self.event.extensions.get(TRACEPARENT)?);
        };
        Some(InvocationTrace::of(self.request_id, &self.event, share).for_function())
    }
}

/// A choice that every life of the hub makes in the same way.
fn is_chosen(id: RequestId, share: f64) -> bool {
    let random = id.as_bytes()[9..].iter();
    let number = random.fold(0_u64, |sum, byte| (sum << 8) | u64::from(*byte));
    let place = number as f64 / (1_u64 << 56) as f64;
    place < share
}

#[cfg(test)]
mod tests;
