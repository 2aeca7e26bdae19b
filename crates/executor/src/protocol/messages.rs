//! The messages. Where a message has a blob, its comment says so; elsewhere the blob is empty.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Credentials, FunctionSpec, Value};

/// What a hub sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ToExecutor {
    /// The first message.
    Hello(Hello),
    /// All functions there are from now on. Runs go on with what they began with; idle instances of a function that
    /// changed or is gone are ended.
    Declare {
        /// Replaces all that were declared before.
        functions: Vec<FunctionSpec>,
    },
    /// Starts a run; blob: the event's data. Sent once for a run, and never again. Answered by `Ended`.
    Start(Start),
    /// Stops a run. One that is not there is ignored: its end is on its way.
    Stop {
        /// The run's RequestId.
        run: String,
        /// How.
        how: StopHow,
    },
    /// Subscribes to a held run: its lines from now on, and its end.
    Attach {
        /// The run's RequestId.
        run: String,
        /// Number of the last line that the hub has kept; 0 for none.
        after: u64,
    },
    /// Lines are kept by the hub and can be dropped here.
    Kept {
        /// The run's RequestId.
        run: String,
        /// Number of the last of them.
        line: u64,
    },
    /// The run's end is durable in the hub: all that is left of it can be dropped here.
    Forget {
        /// The run's RequestId.
        run: String,
    },
    /// New credentials for a function's role, for runs that go on with the old ones.
    Renew {
        /// The run's RequestId.
        run: String,
        /// The credentials.
        credentials: Credentials,
    },
    /// Nothing will be started here any more: end idle instances now, and the executor once no run is held.
    Retire,
}

/// What an executor sends.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FromExecutor {
    /// Accepts `Hello`.
    Welcome(Welcome),
    /// Refuses `Hello`, with the reason. Nothing follows.
    Refused(Refusal),
    /// Lines of a run; blob: their texts, one after the other, without line ends.
    Lines {
        /// The run's RequestId.
        run: String,
        /// Number of the first; the others follow it.
        first: u64,
        /// What they are.
        lines: Vec<LineHead>,
    },
    /// A run is over; blob: its result. Comes after all of its lines.
    Ended {
        /// The run's RequestId.
        run: String,
        /// How it was.
        outcome: Outcome,
        /// Whether nothing of it is alive. Otherwise `Reclaimed` comes later.
        reclaimed: bool,
    },
    /// Nothing of the run is alive any more.
    Reclaimed {
        /// The run's RequestId.
        run: String,
    },
}

/// A range of protocol versions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Versions {
    /// The oldest.
    pub from: u16,
    /// The newest.
    pub to: u16,
}

/// Who the hub is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// Its protocol versions.
    pub versions: Versions,
    /// Which build it is.
    pub release: String,
    /// What stands in the executor's file `key`: functions run under the same user and can find the socket, but not
    /// read the data directory.
    pub key: Value,
}

/// Who the executor is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Welcome {
    /// The protocol version of this connection.
    pub version: u16,
    /// Its id.
    pub executor: String,
    /// Its process.
    pub pid: u32,
    /// Which build it is.
    pub release: String,
    /// What it can enforce, a sentence for people.
    pub level: String,
    /// Whether it is retired: it starts nothing more.
    pub retired: bool,
    /// What it holds.
    pub runs: Vec<HeldRun>,
}

/// A run that was started for this or an earlier hub and not forgotten.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldRun {
    /// Its RequestId.
    pub run: String,
    /// Its function.
    pub function: String,
    /// Whether it is over.
    pub ended: bool,
}

/// Why a `Hello` was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The executor's protocol versions.
    pub versions: Versions,
    /// Which build it is.
    pub release: String,
    /// A sentence for people.
    pub why: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Start {
    /// Its RequestId.
    pub run: String,
    /// A declared function.
    pub function: String,
    /// Variables of this run: the event's attributes, for a `process`.
    pub variables: BTreeMap<String, String>,
    /// Remarks for the run's log.
    pub remarks: Vec<String>,
    /// Credentials for the function's role, if it has one.
    pub credentials: Option<Credentials>,
    /// How long it may run.
    pub timeout_ms: u64,
    /// Time between the request to stop and the kill.
    pub grace_ms: u64,
    /// When the run will be stopped, milliseconds since 1970 (UTC): passed to the function.
    pub deadline_ms: i64,
    /// Bytes of the result that are kept.
    pub max_result_bytes: u64,
    /// Bytes of log that are kept; each line counts for 48 more than its text.
    pub max_log_bytes: u64,
}

/// How a run is stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopHow {
    /// SIGTERM, and nothing more: it may end well.
    #[serde(rename = "polite")]
    Graceful,
    /// Now; the word becomes the reason.
    Kill(String),
}

/// A line without its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LineHead {
    /// `stdout`, `stderr` or `system`.
    pub stream: String,
    /// When it was read, milliseconds since 1970 (UTC).
    pub at_ms: i64,
    /// Bytes of its text.
    pub len: u32,
    /// Whether the function ended the line; otherwise more of it may follow.
    pub complete: bool,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// In one word.
    #[serde(rename = "verdict")]
    pub end: RunEnd,
    /// A word for machines, such as `exit_code`, `signal`, `timeout`, `memory_limit`, `start_failed`.
    pub reason: String,
    /// One sentence for people.
    pub detail: Option<String>,
    /// When, milliseconds since 1970 (UTC).
    pub at_ms: i64,
    /// How long it ran.
    pub duration_ms: u64,
    /// The most memory it used, in bytes, where that is known.
    pub peak_memory_bytes: Option<u64>,
    /// Bytes of memory it could use; `None` is unbounded, or unknown to an earlier build.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// The exit code, if it ended by itself.
    pub exit_code: Option<i32>,
    /// The signal that ended it, if one did.
    pub signal: Option<i32>,
    /// Whether the result was cut.
    pub result_cut: bool,
}

/// How a run ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunEnd {
    /// It ended well.
    Succeeded,
    /// It did not, or could not be started.
    Failed,
    /// It ran longer than it may.
    TimedOut,
    /// It was stopped.
    Terminated,
    /// Nobody knows.
    Lost,
}

// === impl StopHow ===

impl StopHow {
    /// Whether a later request replaces this one. A kill overrides a graceful stop; nothing overrides a kill.
    pub fn is_overridden_by(&self, later: &Self) -> bool {
        matches!((self, later), (Self::Graceful, Self::Kill(_)))
    }
}

// === impl Versions ===

impl Versions {
    /// The newest version that both have.
    pub fn common(self, other: Self) -> Option<u16> {
        let newest = self.to.min(other.to);
        (newest >= self.from.max(other.from)).then_some(newest)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{json, to_value};

    use super::*;

    /// Hubs and executors of different builds talk: a name on the wire outlives one in the code.
    #[test]
    fn names_on_the_wire_stay() {
        let stop = |how| ToExecutor::Stop {
            run: "r".to_owned(),
            how,
        };
        let graceful = to_value(stop(StopHow::Graceful)).unwrap();
        assert_eq!(graceful, json!({"stop": {"run": "r", "how": "polite"}}));
        let kill = to_value(stop(StopHow::Kill("terminated".to_owned()))).unwrap();
        assert_eq!(
            kill,
            json!({"stop": {"run": "r", "how": {"kill": "terminated"}}})
        );
        let outcome = json!({
            "verdict": "timed_out", "reason": "timeout", "detail": null, "at_ms": 1, "duration_ms": 2,
            "peak_memory_bytes": null, "memory_limit_bytes": null, "exit_code": null, "signal": 15,
            "result_cut": false,
        });
        let read: Outcome = serde_json::from_value(outcome.clone()).unwrap();
        assert_eq!(read.end, RunEnd::TimedOut);
        assert_eq!(to_value(read).unwrap(), outcome);
    }
}
