//! Hubs that are broken on purpose, each in one way. A simulation that calls one of them good is no good itself.
//!
//! None of this is in the product: what breaks is put around or under it, here.

use crate::disk::Flaws;

/// One way to be broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutant {
    /// The journal's syncs do nothing.
    NoSync,
    /// Receipts are given before the event is durable.
    AckBeforeFlush,
    /// The names of new files are not made durable.
    NoNameSync,
    /// A failed sync is tried again, and the second answer is believed.
    FailedSyncRepeated,
    /// The start is written after the function was started.
    StartAfterRun,
    /// The start is written before the function is started, and the flush is not waited for.
    StartNotFlushed,
    /// A later end replaces the first.
    EndOverwritesEnd,
    /// The log's reader commits before the events are durable.
    CommitBeforeFlush,
    /// The watermark is written in a transaction of its own.
    WatermarkApart,
    /// The identity of a record does not say which incarnation of the log it is from.
    NoTopicId,
    /// Nothing is known again.
    NoDedupe,
    /// An object's notice is known by its sequencer alone.
    SequencerOnly,
    /// The limit counts by the wall clock.
    WallClockLimit,
    /// The timer's watermark is in memory only.
    TimerInMemory,
    /// What has ended is removed at once, however long it is to be kept.
    RemovesTooSoon,
}

impl Mutant {
    /// All of them.
    pub const ALL: [Self; 15] = [
        Self::NoSync,
        Self::AckBeforeFlush,
        Self::NoNameSync,
        Self::FailedSyncRepeated,
        Self::StartAfterRun,
        Self::StartNotFlushed,
        Self::EndOverwritesEnd,
        Self::CommitBeforeFlush,
        Self::WatermarkApart,
        Self::NoTopicId,
        Self::NoDedupe,
        Self::SequencerOnly,
        Self::WallClockLimit,
        Self::TimerInMemory,
        Self::RemovesTooSoon,
    ];

    /// Whether few histories are enough to catch it: those run with every change.
    pub fn is_quick(self) -> bool {
        !matches!(self, Self::FailedSyncRepeated | Self::EndOverwritesEnd)
    }

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::NoSync => "no-sync",
            Self::AckBeforeFlush => "ack-before-flush",
            Self::NoNameSync => "no-name-sync",
            Self::FailedSyncRepeated => "failed-sync-repeated",
            Self::StartAfterRun => "start-after-run",
            Self::StartNotFlushed => "start-not-flushed",
            Self::EndOverwritesEnd => "end-overwrites-end",
            Self::CommitBeforeFlush => "commit-before-flush",
            Self::WatermarkApart => "watermark-apart",
            Self::NoTopicId => "no-topic-id",
            Self::NoDedupe => "no-dedupe",
            Self::SequencerOnly => "sequencer-only",
            Self::WallClockLimit => "wall-clock-limit",
            Self::TimerInMemory => "timer-in-memory",
            Self::RemovesTooSoon => "removes-too-soon",
        }
    }

    /// The mutant of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mutant| mutant.name() == name)
    }

    /// What it does to the disk.
    pub(crate) fn flaws(self) -> Flaws {
        Flaws {
            ignores_sync: self == Self::NoSync,
            ignores_names: self == Self::NoNameSync,
            repeats_failed_sync: self == Self::FailedSyncRepeated,
        }
    }
}
