//! Fuzz targets: functions over any bytes that must not panic, and that check what has to hold of what was read.
//!
//! `README.md` has the targets and how to run them.

mod corpus;
mod events;
mod message;
mod mutate;
mod targets;

pub use corpus::{Input, corpus, keep};
pub use mutate::Mutator;

/// One reader of foreign bytes.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// Its name, and that of its folder in `corpus`.
    pub name: &'static str,
    /// Reads the bytes; panics if something does not hold that must.
    pub run: fn(&[u8]),
    /// Inputs that a run of the tests makes for it: fewer for those that take long.
    pub tries: u32,
}

/// All targets.
pub const TARGETS: [Target; 8] = [
    Target {
        name: "cloudevents",
        run: targets::cloudevents,
        tries: 2000,
    },
    Target {
        name: "config",
        run: targets::config,
        tries: 100,
    },
    Target {
        name: "cron",
        run: targets::cron,
        tries: 200,
    },
    Target {
        name: "http",
        run: targets::http,
        tries: 1500,
    },
    Target {
        name: "kafka",
        run: targets::kafka,
        tries: 1000,
    },
    Target {
        name: "names",
        run: targets::names,
        tries: 4000,
    },
    Target {
        name: "s3",
        run: targets::s3,
        tries: 800,
    },
    Target {
        name: "units",
        run: targets::units,
        tries: 800,
    },
];

/// The target of that name.
pub fn target(name: &str) -> Option<Target> {
    TARGETS.into_iter().find(|target| target.name == name)
}
