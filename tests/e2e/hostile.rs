//! Callers on raw sockets, at both listeners, that speak wrongly, slowly, too much, all at once or not to the end.
//!
//! Requests are malformed, contradictory, packed, endless or twins; clients leave early or do not read. Each gets an
//! answer that is true about whether its event was accepted, or finds the connection closed. Nothing that was refused
//! runs, and the hub's memory, files and threads return to what they were.

mod bodies;
mod crowds;
mod heads;

use tripline_tests::{Answer, Hub, Raw, Vitals, eventually};

/// One function, at both doors.
const CONFIG: &str = r#"
[hub]
qps = 100000
max_event = "64KiB"
[functions.note]
command = COMMAND
concurrency = 1
[triggers.note]
kind = "http"
function = "note"
route = "POST /note"
auth = "none"
max_body = "64KiB"
body_timeout = "1s"
[triggers.part]
kind = "http"
function = "note"
route = "POST /part/{name}"
auth = "none"
"#;

/// Notes what it gets, a line for each event.
const NOTE: &str = r#"["sh", "-c", "tr -cd a-z- >> ledger; echo >> ledger"]"#;

/// Never gets further than its first event: calls cost no processes.
const STUCK: &str = r#"["sleep", "600"]"#;

/// Short, so that nobody waits for what is cut.
const BOUNDS: &str = "header_timeout = \"1s\"\nidle_timeout = \"2s\"\nmax_connections = 64";

/// What a hostile event says of itself. It must never run.
const EVIL: &str = "evil";

/// One of the hub's two listeners, and how a function is called there.
struct Door {
    name: &'static str,
    /// `host:port`.
    address: String,
    /// What a call's head begins with, up to the headers that a test adds.
    begin: String,
}

/// A hub and what it took before anything happened.
struct Scene {
    hub: Hub,
    doors: [Door; 2],
    before: Vitals,
    /// Calls that were accepted.
    accepted: usize,
}

fn config(command: &str) -> String {
    CONFIG.replace("COMMAND", command)
}

// === impl Door ===

impl Door {
    /// A call's head with further headers, each with its line end.
    fn head(&self, headers: &str) -> String {
        format!("{}{headers}\r\n", self.begin)
    }

    /// A whole call.
    fn call(&self, body: &str) -> String {
        let length = format!("Content-Length: {}\r\n", body.len());
        self.head(&length) + body
    }

    /// Sends bytes on a connection of their own; the first answer, if there is one, and how many there were before the
    /// other side closed.
    async fn send(&self, bytes: impl AsRef<[u8]>) -> (Option<Answer>, usize) {
        let mut raw = Raw::open(&self.address).await;
        raw.send(bytes).await;
        let first = raw.answer().await;
        let rest = raw.rest().await;
        let count = usize::from(first.is_some()) + rest.matches("HTTP/1.1 ").count();
        (first, count)
    }
}

// === impl Scene ===

impl Scene {
    async fn start() -> Self {
        Self::start_with(BOUNDS, &config(NOTE)).await
    }

    async fn start_with(bounds: &str, config: &str) -> Self {
        let mut hub = Hub::prepare_behind(bounds, config);
        // Functions make no files beside the data directory.
        hub.write("ledger", "");
        hub.launch().await;
        let door = |name, url: String, path: &str, authorization: String| {
            let address = url.replace("http://", "");
            let begin = format!("POST {path} HTTP/1.1\r\nHost: {address}\r\n{authorization}");
            Door {
                name,
                address,
                begin,
            }
        };
        let token = format!("Authorization: Bearer {}\r\n", hub.token());
        let doors = [
            door("gateway", hub.gateway(""), "/note", String::new()),
            door(
                "admin",
                hub.admin(""),
                "/v1/functions/note/invocations",
                token,
            ),
        ];
        let before = Vitals::of(hub.pid());
        let mut scene = Self {
            hub,
            doors,
            before,
            accepted: 0,
        };
        // What a hub takes for its first call it keeps.
        scene.good_calls().await;
        scene.before = Vitals::of(scene.hub.pid());
        scene
    }

    /// A good call at each door, on a connection of its own.
    async fn good_calls(&mut self) {
        for door in &self.doors {
            let mut raw = Raw::open(&door.address).await;
            assert!(raw.send(door.call("good")).await, "{}", door.name);
            let answer = raw.answer().await.expect("good calls are answered");
            assert_eq!(answer.status, 202, "{}: {answer:?}", door.name);
            self.accepted += 1;
        }
    }

    /// The end of every test: the hub takes good calls, has as many records as it gave receipts, ran nothing else, did
    /// not panic, and takes no more of its machine than before.
    async fn ends_unharmed(mut self) {
        self.good_calls().await;
        let records = self.hub.invocations("").await;
        assert_eq!(records.len(), self.accepted, "a receipt is a record");
        eventually("every accepted call has run", async || {
            let lines = self.hub.lines("ledger");
            assert!(lines.len() <= self.accepted, "more runs than receipts");
            (lines.len() == self.accepted).then_some(())
        })
        .await;
        let ledger = self.hub.lines("ledger").concat();
        assert!(!ledger.contains(EVIL), "what was refused has run");
        self.goes_on().await;
    }

    /// The same where nothing can be said about the runs.
    async fn goes_on(self) {
        let log = self.hub.lines("hub.log").join("\n");
        assert!(!log.contains("panicked"), "{log}");
        self.before.come_back(self.hub.pid()).await;
    }
}

/// Whether an answer is a refusal that says so.
fn is_refused(answer: Option<&Answer>, statuses: &[u16]) -> bool {
    answer.is_some_and(|one| statuses.contains(&one.status) && one.accepted() == "no")
}
