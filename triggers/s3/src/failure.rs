//! What the store answers when it does not do as asked, in one printable line.

use std::error::Error;

use aws_credential_types::Credentials;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use tripline_config::is_hazardous;

/// What is told of an error's causes, in characters.
const MAX_CAUSES_CHARS: usize = 300;

/// The store did not do as asked.
#[derive(Debug, thiserror::Error)]
#[error("{what}: {why}")]
pub(crate) struct StoreError {
    what: &'static str,
    why: String,
}

// === impl StoreError ===

impl StoreError {
    pub(crate) fn told(what: &'static str, why: String) -> Self {
        Self { what, why }
    }

    /// With the error that is the reason.
    pub(crate) fn new(what: &'static str, why: &dyn Error) -> Self {
        Self {
            what,
            why: causes(why),
        }
    }

    /// Tells the server's own words, but not the ids of the request, which differ at every attempt, nor the keys, should
    /// it repeat them.
    pub(crate) fn asked<E>(what: &'static str, err: &SdkError<E>, keys: &Credentials) -> Self
    where
        E: ProvideErrorMetadata + Error + 'static,
    {
        let status = err.raw_response().map(|answer| answer.status().as_u16());
        let why = match (status, err.code()) {
            (Some(status), Some(code)) => {
                let message = err.message().unwrap_or_default();
                let mut told = format!("{status} {code}: {message}");
                for key in [keys.access_key_id(), keys.secret_access_key()] {
                    told = told.replace(key, "(..)");
                }
                printable(&told)
            }
            (Some(status), None) => status.to_string(),
            (None, _) => causes(err),
        };
        Self { what, why }
    }
}

/// An error with all its causes, in one line.
pub(crate) fn causes(err: &dyn Error) -> String {
    let mut told = err.to_string();
    let mut cause = err.source();
    while let Some(err) = cause {
        told = format!("{told}: {err}");
        cause = err.source();
    }
    printable(&told)
}

/// Servers write parts of errors.
fn printable(told: &str) -> String {
    let line = told.replace(is_hazardous, " ");
    line.chars().take(MAX_CAUSES_CHARS).collect()
}
