//! The trigger as a whole, against a store made up as recorded, and against a real one if there is any.

mod changes;
mod clocks;
mod contract;
pub(crate) mod fixtures;
mod hostile;
mod listen;
mod listing;
mod mutants;
mod real;
mod repeats;
mod store;
mod webhook;

use std::sync::Arc;

use tripline_config::{Document, SecretRef};
use tripline_model::{Offer, Timestamp, TriggerName};
use tripline_trigger::TriggerKind;
use tripline_trigger::testkit::TestContext;

use crate::{S3Kind, S3Trigger};

/// A table's text; credentials and bucket are given.
fn table(endpoint: &str, more: &str) -> String {
    format!(
        "endpoint = '{endpoint}'\nbucket = 'uploads'\n\
         access_key = {{ env = 'A' }}\nsecret_key = {{ env = 'S' }}\n{more}"
    )
}

/// A trigger out of a table's text.
fn trigger(endpoint: &str, more: &str) -> Arc<S3Trigger> {
    let name = TriggerName::new("uploads").unwrap();
    let text = table(endpoint, more);
    let read = Document::new("test.toml", text).read(|root| S3Kind.build(&name, root));
    Arc::new(read.unwrap())
}

/// Surroundings with the secrets that `trigger` wants.
fn around() -> TestContext {
    let env = |name: &str| SecretRef::Env(name.to_owned());
    TestContext::new("uploads")
        .with_secret(env("A"), "access")
        .with_secret(env("S"), "secret")
        .with_secret(env("T"), "test-token")
}

/// The same hub after a restart.
fn restarted(before: &TestContext) -> TestContext {
    around().with_dispatch(Arc::clone(before.dispatch()))
}

/// The noon at which the test clock stands, and some seconds.
fn noon(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_795_521_600_000 + seconds * 1_000)
}

fn subjects<'a>(offers: impl IntoIterator<Item = &'a Offer>) -> Vec<&'a str> {
    let subjects = offers
        .into_iter()
        .filter_map(|offer| offer.event.subject.as_deref());
    let mut subjects: Vec<&str> = subjects.collect();
    subjects.sort_unstable();
    subjects
}

fn is_synthetic(offer: &Offer) -> bool {
    offer
        .event
        .extensions
        .get("s3synthetic")
        .is_some_and(|value| value == "true")
}
