//! Text of strangers that would steer a terminal, forge a line of a log, or break out of JSON: it is shown as text.

use serde_json::Value;
use tripline_tests::{Hub, eventually, skipped};

use super::{address, answers, request};

/// Clears the screen, sets the title, turns what follows around, ends a JSON string, and forges a line.
const HOSTILE: &str = "a\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}live\u{2066}\u{7f}\r\",\"forged\":\"yes\"}\u{2028}b";

const FORGED: &str = "2026-11-25T00:00:00.000000Z ERROR forged";

/// Writes its event to both streams, and fails with it.
const CONFIG: &str = r#"
[hub]
log_level = "debug"
log = "FORMAT"
[functions.say]
command = ["sh", "-c", "cat; echo; echo \"$CE_SUBJECT$CE_TYPE$CE_ID\" >&2; exit 1"]
[triggers.door]
kind = "http"
function = "say"
route = "POST /door/{name}"
auth = "none"
[triggers.store]
kind = "s3"
function = "say"
endpoint = "http://127.0.0.1:9"
bucket = "b"
access_key = { file = "key" }
secret_key = { file = "key" }
mode = "webhook"
route = "POST /s3"
auth = "none"
"#;

/// Characters that no output for people may hold, line ends and tabs apart.
fn steers(c: char) -> bool {
    let invisible = matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}');
    (c.is_control() && c != '\n' && c != '\t') || invisible
}

#[track_caller]
fn is_tame(what: &str, text: &str) {
    let found = text.char_indices().find(|(_, c)| steers(*c));
    if let Some((at, c)) = found {
        let around: String = text[at.saturating_sub(80)..].chars().take(160).collect();
        panic!("{c:?} in {what}: {around:?}");
    }
}

async fn hub(format: &str) -> Hub {
    let mut hub = Hub::prepare(&CONFIG.replace("FORMAT", format));
    hub.write_secret("key", "k");
    hub.launch().await;
    mounted(&hub).await;
    hub
}

/// Waits until the webhook is there: its store is asked first.
pub(super) async fn mounted(hub: &Hub) {
    eventually("the webhook is mounted", async || {
        let notification = hub.client().post(hub.gateway("/s3")).body("{}");
        let status = notification.send().await.ok()?.status().as_u16();
        (status != 404).then_some(())
    })
    .await;
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

/// Events full of it, through every door; the id of one.
async fn hostile_event(hub: &Hub) -> String {
    let line = format!("{HOSTILE}\n{FORGED}");
    let gateway = address(&hub.gateway(""));
    let attributes = [
        ("ce-specversion", "1.0".to_owned()),
        ("ce-id", encoded(&line)),
        ("ce-type", encoded(&line)),
        ("ce-source", "/s".to_owned()),
        ("ce-subject", encoded(&line)),
    ];
    let plain = request(&gateway, "POST", &format!("/door/{}", encoded(&line)), &[]);
    let event = request(&gateway, "POST", "/door/x", &attributes);
    let accepted = answers(&gateway, &[plain, event])
        .await
        .into_iter()
        .flatten();
    let accepted: Vec<_> = accepted.map(|answer| answer.status).collect();
    assert_eq!(accepted[0], 202, "{accepted:?}");
    let quoted = serde_json::to_string(&line).unwrap();
    for body in [
        quoted.clone(),
        format!("{{\"Records\":[{{\"eventName\":{quoted},\"eventSource\":{quoted},{quoted}:1}}]}}"),
        format!("{{\"Records\":[{{\"s3\":{quoted}}}]}}"),
        line.clone(),
    ] {
        let answer = hub
            .client()
            .post(hub.gateway("/s3"))
            .body(body)
            .send()
            .await
            .unwrap();
        assert!(answer.status().as_u16() < 500);
    }
    // What is wrong is repeated in refusals.
    let query = format!("/v1/invocations?{}={}", encoded(&line), encoded(&line));
    let refused = hub.request(&query).send().await.unwrap();
    assert_eq!(refused.status().as_u16(), 400);
    let refused = hub
        .request(&format!("/v1/functions/{}", encoded(&line)))
        .send()
        .await
        .unwrap();
    assert_eq!(refused.status().as_u16(), 404);
    let id = hub.invoke("say", line).await;
    hub.ended(&id).await;
    hub.ended_of("door", 1).await;
    id
}

#[tokio::test(flavor = "multi_thread")]
async fn the_hubs_log_has_one_line_for_one_thing_and_nothing_that_steers() {
    for format in ["text", "json"] {
        let hub = hub(format).await;
        hostile_event(&hub).await;
        let lines = hub.lines("hub.log");
        assert!(lines.concat().contains("owned"), "{lines:?}");
        let mut is_begun = false;
        for line in &lines {
            is_tame("the hub's log", line);
            assert!(!line.starts_with(FORGED), "{line}");
            is_begun |= line.starts_with('{');
            if format == "json" && is_begun && line.starts_with('{') {
                let parsed: Value =
                    serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"));
                assert!(parsed.get("forged").is_none() && parsed["fields"].get("forged").is_none());
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cli_shows_it_as_text() {
    let hub = hub("text").await;
    let id = hostile_event(&hub).await;
    for args in [
        vec!["ps"],
        vec!["ps", "--json"],
        vec!["show", &id],
        vec!["show", &id, "--json"],
        vec!["logs", &id, "--json"],
        vec!["functions"],
        vec!["triggers"],
        vec!["show", HOSTILE],
        vec!["logs", HOSTILE],
        vec!["invoke", HOSTILE, "x"],
        vec!["ps", "--function", HOSTILE],
        vec!["ps", "--since", HOSTILE],
        vec!["triggers", "pause", HOSTILE],
        vec!["check", HOSTILE],
        vec!["show", &id, "--admin", HOSTILE],
        vec!["show", &id, "--token-file", HOSTILE],
    ] {
        let output = hub.cli(&args);
        is_tame(&format!("{args:?}"), &output.stdout);
        is_tame(&format!("what {args:?} says is wrong"), &output.stderr);
        assert!(
            !output
                .stdout
                .lines()
                .any(|line| line.starts_with("\",\"forged\"")),
            "{output:?}"
        );
    }
    on_a_terminal(&hub, &id);
}

/// To a file or a program a log goes as it is; to a terminal it does not.
fn on_a_terminal(hub: &Hub, id: &str) {
    let binary = Hub::binary().display();
    for args in ["", "--timestamps", "-f"] {
        let typed = format!("{binary} logs {args} {id}");
        let mut script = std::process::Command::new("script");
        script
            .current_dir(hub.path(""))
            .args(["-qec", &typed, "/dev/null"]);
        let Ok(done) = script.stdin(std::process::Stdio::null()).output() else {
            return skipped("logs on a terminal", "no `script` on this machine");
        };
        let shown = String::from_utf8_lossy(&done.stdout).replace("\r\n", "\n");
        is_tame(&format!("logs {args} on a terminal"), &shown);
        assert!(
            shown.contains("\\u{1b}[2J") && shown.contains("\\u{202e}"),
            "{shown}"
        );
        assert!(shown.contains(FORGED), "{shown}");
    }
}

#[test]
fn a_configuration_is_quoted_as_text() {
    let quoted = serde_json::to_string(HOSTILE)
        .unwrap()
        .replace("\u{7f}", "\\u007f");
    let raw = HOSTILE.replace(['\r', '"'], " ");
    for text in [
        format!("[functions.{quoted}]\ncommand = [\"true\"]\n"),
        format!("[functions.f]\ncommand = [\"true\"]\n[triggers.{quoted}]\nkind = \"cron\"\n"),
        format!("[functions.f]\ncommand = [\"true\"]\n{quoted} = 1\n"),
        format!("[functions.f]\ncommand = [\"true\"]\nruntime = {quoted}\ntimeout = {quoted}\n"),
        format!("[triggers.t]\nkind = {quoted}\nfunction = {quoted}\n"),
        format!("[triggers.t]\nkind = \"http\"\nroute = {quoted}\nauth = {quoted}\n"),
        format!("[triggers.t]\nkind = \"cron\"\nschedule = {quoted}\ntimezone = {quoted}\n"),
        format!(
            "[triggers.t]\nkind = \"kafka\"\ntopics = [{quoted}]\n{quoted} = {quoted}\n\"client.id\" = 1\n"
        ),
        format!("[hub]\nlog_level = {quoted}\nmax_event = {quoted}\n"),
        format!("[admin]\nlisten = {quoted}\nhosts = {quoted}\n"),
        format!("# {raw}\n{raw}\n"),
    ] {
        let hub = Hub::prepare(&text);
        let output = hub.cli(&["check", "tripline.toml"]);
        assert_eq!(output.code, 2, "{output:?}");
        is_tame(&text, &output.stderr);
        is_tame(&text, &output.stdout);
    }
}
