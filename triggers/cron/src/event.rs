//! A tick as an event.

use std::collections::BTreeMap;

use tripline_model::{Event, Timestamp, TriggerName};

use crate::config::Config;

/// CloudEvents `type` of every tick.
const KIND: &str = "tripline.cron.tick.v1";

/// An instant of the schedule whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tick {
    /// The instant.
    pub(crate) at: Timestamp,
    /// How many missed ticks it stands for, itself included; 0 if it comes in time.
    pub(crate) missed: u64,
}

/// The event of `tick`. It can be made ahead of time: [`stamp`] completes it.
pub(crate) fn event(trigger: &TriggerName, config: &Config, tick: Tick) -> Event {
    let mut extensions = BTreeMap::from([
        ("cronscheduled".to_owned(), config.schedule.show(tick.at)),
        (
            "crontimezone".to_owned(),
            config.schedule.zone().to_string(),
        ),
    ]);
    if tick.missed > 0 {
        extensions.insert("cronmisfired".to_owned(), "true".to_owned());
        extensions.insert("cronmissed".to_owned(), tick.missed.to_string());
    }
    Event {
        id: format!("{trigger}@{}", tick.at),
        source: format!("/triggers/{trigger}"),
        kind: KIND.to_owned(),
        subject: Some(trigger.to_string()),
        time: tick.at,
        content_type: config.content_type.clone(),
        data: Some(config.payload.clone()),
        extensions,
    }
}

/// Says when it fired.
pub(crate) fn stamp(event: &mut Event, now: Timestamp) {
    let name = "cronactual".to_owned();
    event.extensions.insert(name, now.to_string());
}
