//! Fixtures for end-to-end tests: the real binary in a folder of its own, and the real services around it.
//!
//! Tests wait for conditions with a deadline, and every address is picked by the system. The few for which time itself has to
//! pass say so with [`time_goes_by`].

mod auth_cases;
mod canary;
mod checkers;
mod disk;
mod executors;
mod faketime;
mod hasty;
mod hub;
mod identity;
mod large_bucket;
mod limit;
mod listening;
mod mirror;
mod otlp;
mod own_store;
mod raw;
mod service;
mod sts;
mod vitals;
mod wait;

pub use auth_cases::{no_credentials, spellings};
pub use canary::{canary, sighting};
pub use checkers::{Checkers, output};
pub use disk::Disk;
pub use executors::{Executor, is_alive, processes_with, request_ids_alive};
pub use faketime::faketime;
pub use hasty::HastySts;
pub use hub::{Hub, Output};
pub use identity::ShortSts;
pub use large_bucket::LargeBucket;
pub use listening::listens_at;
pub use mirror::Mirror;
pub use otlp::{Collector, Traced};
pub use own_store::{OwnStore, free_port};
pub use raw::{Answer, Raw};
pub use service::{KafkaNode, S3, S3Client, full, kafka, kafka_sasl, s3_store, skipped};
pub use sts::{ScriptedSts, Sts, allow, s3_client};
pub use vitals::Vitals;
pub use wait::{eventually, eventually_within, time_goes_by};
