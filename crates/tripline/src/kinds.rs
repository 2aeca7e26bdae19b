//! The kinds of trigger this hub knows: the one list.

use tripline_trigger::Registry;

/// Every kind. To add one, add a line here.
pub fn kinds() -> Registry {
    Registry::new()
        .with(tripline_cron::CronKind::default())
        .with(tripline_http::HttpKind)
        .with(tripline_kafka::KafkaKind)
        .with(tripline_s3::S3Kind)
}
