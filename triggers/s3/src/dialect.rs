//! What differs between servers that all send "S3 notifications".
//!
//! Chosen by what a record shows of its sender, never by how a key looks: `a%20b` is a fine key.

use percent_encoding::percent_decode;
use tripline_model::Timestamp;

/// Whose habits a notification follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    /// Webhook keys are form-escaped, Listen keys are not; the sequencer is the object's own mtime in nanoseconds.
    Minio,
    /// Keys are always form-escaped.
    RustFs,
    /// Keys verbatim, etags quoted, no usable version ids, a sequencer that starts again with the server.
    VersityGw,
    /// Keys verbatim.
    Ceph,
    /// Keys form-escaped.
    Aws,
}

/// Which way a notification came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ingress {
    /// A POST to the gateway.
    Webhook,
    /// A line of the Listen stream.
    Listen,
}

// === impl Dialect ===

impl Dialect {
    /// The names that the config takes.
    pub(crate) const NAMES: [(&'static str, Self); 5] = [
        ("minio", Self::Minio),
        ("rustfs", Self::RustFs),
        ("versitygw", Self::VersityGw),
        ("ceph", Self::Ceph),
        ("aws", Self::Aws),
    ];

    /// Known by `eventSource`; versitygw calls itself `aws:s3`, but its configuration id is a constant of its own.
    pub(crate) fn of(event_source: &str, configuration_id: &str) -> Self {
        match event_source {
            "minio:s3" => Self::Minio,
            "rustfs:s3" => Self::RustFs,
            "ceph:s3" => Self::Ceph,
            _ if configuration_id == "webhook-global" => Self::VersityGw,
            _ => Self::Aws,
        }
    }

    /// The key as the uploader wrote it. `None` if the escapes do not give UTF-8.
    pub(crate) fn key(self, ingress: Ingress, text: &str) -> Option<String> {
        let escaped = match self {
            Self::Minio => ingress == Ingress::Webhook,
            Self::RustFs | Self::Aws => true,
            Self::VersityGw | Self::Ceph => false,
        };
        if escaped {
            form_decode(text)
        } else {
            Some(text.to_owned())
        }
    }

    /// The moment a listing shows as the object's LastModified, if the sequencer has it.
    pub(crate) fn modified(self, sequencer: &str) -> Option<Timestamp> {
        if self != Self::Minio {
            return None;
        }
        let nanos = u64::from_str_radix(sequencer, 16).ok()?;
        let millis = i64::try_from(nanos / 1_000_000).ok()?;
        Some(Timestamp::from_millis(millis))
    }

    /// Whether a size of zero may mean "not known".
    pub(crate) fn size_is_known(self, name: &str) -> bool {
        // versitygw leaves the size out of everything but plain puts, and says 0.
        self != Self::VersityGw || name == "ObjectCreated:Put"
    }
}

/// `application/x-www-form-urlencoded` decoding of one value. `None` if that is not UTF-8.
pub(crate) fn form_decode(text: &str) -> Option<String> {
    let spaced = text.replace('+', " ");
    let decoded = percent_decode(spaced.as_bytes()).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// The etag without its quotes: some notifications have them, all listings do.
pub(crate) fn bare_etag(text: &str) -> &str {
    let inner = text
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'));
    inner.unwrap_or(text)
}
