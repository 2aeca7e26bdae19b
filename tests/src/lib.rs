//! Fixtures for end-to-end tests: the real binary in a folder of its own, and the real services around it.
//!
//! Tests wait for conditions with a deadline; none sleeps for a fixed time, and every address is picked by the system.

mod hub;
mod service;
mod wait;

pub use hub::{Hub, Output};
pub use service::{KafkaNode, S3, kafka, s3_store, skipped, versitygw};
pub use wait::{eventually, eventually_within};
