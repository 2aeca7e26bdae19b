//! The error that ends a trigger's run.

use std::error::Error;

/// Why a trigger cannot go on. the supervisor shows it and restarts the trigger after a delay.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TriggerError {
    message: String,
    source: Option<Box<dyn Error + Send + Sync>>,
}

// === impl TriggerError ===

impl TriggerError {
    /// An error with this message: what cannot be done, with names and addresses, never a secret.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            source: None,
        }
    }

    /// The same error with its cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The message and its causes on one line.
    pub fn chain(&self) -> String {
        let mut text = self.message.clone();
        let mut cause = self.source();
        while let Some(error) = cause {
            let cause_message = error.to_string();
            // Many errors repeat their source in their own message.
            if !text.contains(&cause_message) {
                text.push_str(": ");
                text.push_str(&cause_message);
            }
            cause = error.source();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_chain_has_each_cause_once() {
        let refused = std::io::Error::other("connection refused");
        let inner = TriggerError::new("no broker answers: connection refused").caused_by(refused);
        let outer = TriggerError::new("cannot read topic `orders`").caused_by(inner);
        assert_eq!(
            outer.chain(),
            "cannot read topic `orders`: no broker answers: connection refused"
        );
        assert_eq!(outer.to_string(), "cannot read topic `orders`");
    }
}
