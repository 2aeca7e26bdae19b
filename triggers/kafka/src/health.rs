//! What stands in the trigger's way, from both sides, as the one state that people see.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tripline_model::lock;
use tripline_trigger::TriggerContext;

/// Reports trouble to the hub and its end, each once.
pub(crate) struct Health {
    cx: TriggerContext,
    secrets: Vec<String>,
    state: Mutex<State>,
}

/// What is in the way.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// Whether the group has given out its partitions, be it none to us.
    pub(crate) joined: bool,
    /// The brokers cannot be reached or refuse the login.
    pub(crate) brokers: Option<String>,
    /// Topics that cannot be read, and why.
    pub(crate) topics: BTreeMap<String, String>,
    /// Partitions that are ours and cannot be read.
    pub(crate) unread: Option<String>,
    /// A batch that cannot be read and is not skipped yet.
    pub(crate) unreadable: Option<String>,
    /// The hub takes no events.
    pub(crate) hub: Option<String>,
    reported: Option<Report>,
}

#[derive(Debug, PartialEq, Eq)]
enum Report {
    Ready,
    Trouble(String),
}

// === impl Health ===

impl Health {
    /// `secrets` are values that never show, whoever quotes them.
    pub(crate) fn new(cx: TriggerContext, secrets: Vec<String>) -> Self {
        Self {
            cx,
            secrets,
            state: Mutex::default(),
        }
    }

    /// Changes what is known and reports to the hub if that changes anything.
    pub(crate) fn update(&self, change: impl FnOnce(&mut State)) {
        let mut state = lock(&self.state);
        change(&mut state);
        let report = match state.worst() {
            Some(what) => Report::Trouble(what),
            None if state.joined => Report::Ready,
            None => return,
        };
        if state.reported.as_ref() == Some(&report) {
            return;
        }
        match &report {
            Report::Ready => self.cx.ready(),
            Report::Trouble(what) => self.cx.trouble(self.redacted(what)),
        }
        state.reported = Some(report);
    }

    /// Whether the brokers answer, as far as is known.
    pub(crate) fn brokers_answer(&self) -> bool {
        let state = lock(&self.state);
        state.brokers.is_none()
    }

    /// The same text without the values of secrets.
    pub(crate) fn redacted(&self, text: &str) -> String {
        redacted(text, &self.secrets)
    }
}

/// The same text without these secrets.
pub(crate) fn redacted(text: &str, secrets: &[String]) -> String {
    let mut shown = text.to_owned();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        shown = shown.replace(secret.as_str(), "***");
    }
    shown
}

// === impl State ===

impl State {
    fn worst(&self) -> Option<String> {
        let topic = self.topics.iter().next();
        let topic = topic.map(|(topic, why)| format!("topic `{topic}` cannot be read: {why}"));
        let source = self.brokers.clone().or(topic);
        let partition = self.unread.clone().or_else(|| self.unreadable.clone());
        self.hub.clone().or(source).or(partition)
    }
}
