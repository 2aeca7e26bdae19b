//! The targets, one for each kind of bytes that come from outside.

mod cloudevents;
mod config;
mod cron;
mod http;
mod kafka;
mod names;
mod s3;
mod units;

use tripline_model::Timestamp;

pub(crate) use cloudevents::cloudevents;
pub(crate) use config::config;
pub(crate) use cron::cron;
pub(crate) use http::http;
pub(crate) use kafka::kafka;
pub(crate) use names::names;
pub(crate) use s3::s3;
pub(crate) use units::units;

/// 2026-01-01T18:00:00.250Z, when everything comes.
const NOW: Timestamp = Timestamp::from_millis(1_767_290_400_250);
