//! An end that is told must be the one that happened, and say truly whether function code ran.

use std::time::Duration;

use bytes::Bytes;
use tripline_model::{Event, Timestamp};

use super::*;
use crate::history::function_name;
use crate::script::Kind;

fn record(end: End, reason: &str) -> Invocation {
    let at = Timestamp::from_millis(0);
    Invocation {
        request_id: RequestId::new(at, [0; 10]),
        function: function_name("kept"),
        trigger: None,
        state: InvocationState::Ended(end),
        accepted_at: at,
        started_at: None,
        ending: Some(Ending::new(end, at, reason)),
        event: Event {
            id: "0".to_owned(),
            source: "/outside".to_owned(),
            kind: "quick".to_owned(),
            subject: None,
            time: at,
            content_type: None,
            data: Some(Bytes::new()),
            extensions: BTreeMap::new(),
        },
        data_len: 0,
    }
}

/// A run that ended like this.
fn run(end: End, died: bool) -> Entry {
    Entry {
        starts: 1,
        function: "kept".to_owned(),
        occurrence: 0,
        kind: Kind::Quick,
        left: Duration::ZERO,
        over: Some(Ending::new(end, Timestamp::from_millis(0), "exit_code")),
        died,
        held: false,
    }
}

#[test]
fn an_end_is_what_the_function_did() {
    for (told, reason, run, is_good) in [
        (
            End::Succeeded,
            "exit_code",
            Some(run(End::Succeeded, false)),
            true,
        ),
        (
            End::Succeeded,
            "exit_code",
            Some(run(End::Failed, false)),
            false,
        ),
        (End::Succeeded, "exit_code", None, false),
        (
            End::Terminated,
            "terminated",
            Some(run(End::Terminated, false)),
            true,
        ),
        (
            End::Terminated,
            NOT_STARTED,
            Some(run(End::Terminated, false)),
            false,
        ),
        (End::Terminated, NOT_STARTED, None, true),
        (End::Terminated, "terminated", None, false),
        (End::Failed, "start_failed", None, true),
        (
            End::Failed,
            "start_failed",
            Some(run(End::Failed, false)),
            false,
        ),
        (
            End::Lost,
            "executor_died",
            Some(run(End::Succeeded, true)),
            true,
        ),
        (
            End::Lost,
            "executor_died",
            Some(run(End::Succeeded, false)),
            false,
        ),
        (
            End::Cancelled,
            "terminated",
            Some(run(End::Terminated, false)),
            false,
        ),
    ] {
        let mut wrong = Wrong::new();
        end(&record(told, reason), run.as_ref(), &mut wrong);
        assert_eq!(wrong.is_empty(), is_good, "{told:?} {reason}: {wrong:?}");
    }
}

#[test]
fn every_rule_is_explained() {
    let page = include_str!("../../README.md");
    for rule in RULES {
        assert!(page.contains(&format!("\n| {rule} |")), "{rule}");
    }
}
