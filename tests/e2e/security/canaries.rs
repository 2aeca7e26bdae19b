//! A secret in every place that a configuration has for one, and everything failing: none of them is ever seen, in no
//! output and in no disguise, but where it is meant to be. That no place is left out is seen to in `places.rs`. So it is
//! with secrets that no configuration names: the admin token, credentials that an STS gives, and the executors' own.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use tripline_tests::{
    Collector, Hub, Mirror, ScriptedSts, canary, eventually, processes_with, sighting,
};

/// Where the hub keeps the admin token.
const TOKEN: &str = "data/admin.token";

/// `MIRROR` repeats all that it is sent; at `CLOSED` nobody listens. `SECRET(NAME)` becomes a way to a secret.
pub(super) const CONFIG: &str = r#"
[hub]
log_level = "trace"
[traces]
endpoint = "COLLECTOR"
headers = { authorization = SECRET(traces) }
[functions.own]
command = ["sh", "-c", "sleep 600"]
env = { OWN = SECRET(env) }
timeout = "10m"
[functions.other]
command = ["sh", "-c", "env; cat /proc/$PPID/environ; exit 3"]
[functions.role]
command = ["env"]
[functions.role.role]
sts = "MIRROR"
access_key = SECRET(role-access)
secret_key = SECRET(role-secret)
[functions.lent]
command = ["true"]
[functions.lent.role]
sts = "LENDER"
access_key = SECRET(role-access)
secret_key = SECRET(role-secret)
[functions.target]
runtime = "http"
url = "CLOSED/"
allow_private = true
headers = { authorization = SECRET(http-header) }
[triggers.door]
kind = "http"
function = "other"
route = "POST /door"
auth = { bearer = SECRET(bearer) }
[triggers.listed]
kind = "s3"
function = "other"
endpoint = "MIRROR"
bucket = "b"
access_key = SECRET(s3-access)
secret_key = SECRET(s3-secret)
mode = "listen"
[triggers.webhook]
kind = "s3"
function = "other"
endpoint = "CLOSED"
bucket = "b"
access_key = SECRET(s3-closed-access)
secret_key = SECRET(s3-closed-secret)
mode = "webhook"
route = "POST /s3"
auth = { bearer = SECRET(s3-bearer) }
[triggers.login]
kind = "kafka"
function = "other"
topics = ["t"]
"bootstrap.servers" = "BROKER"
"security.protocol" = "sasl_plaintext"
"sasl.mechanism" = "PLAIN"
"sasl.username" = SECRET(kafka-user)
"sasl.password" = SECRET(kafka-password)
[triggers.keys]
kind = "kafka"
function = "other"
topics = ["t"]
"bootstrap.servers" = "BROKER"
"security.protocol" = "ssl"
"ssl.key.pem" = SECRET(kafka-key)
"ssl.key.password" = SECRET(kafka-key-password)
[triggers.store]
kind = "kafka"
function = "other"
topics = ["t"]
"bootstrap.servers" = "BROKER"
"security.protocol" = "ssl"
"ssl.keystore.location" = "nowhere.p12"
"ssl.keystore.password" = SECRET(kafka-store-password)
"#;

/// The names in `SECRET(NAME)`.
pub(super) fn places() -> Vec<&'static str> {
    let rest = CONFIG.split("SECRET(").skip(1);
    rest.map(|rest| rest.split(')').next().expect("a bracket"))
        .collect()
}

/// The configuration with a way to a secret in each place, and the secrets themselves.
fn config(collector: &str, mirror: &str, reference: impl Fn(&str) -> String) -> String {
    let mut text = CONFIG
        .replace("COLLECTOR", collector)
        .replace("MIRROR", mirror);
    text = text
        .replace("CLOSED", "http://127.0.0.1:9")
        .replace("BROKER", "127.0.0.1:9");
    for place in places() {
        text = text.replace(&format!("SECRET({place})"), &reference(place));
    }
    text
}

/// Panics if a canary is in it.
#[track_caller]
fn clean(what: &str, bytes: impl AsRef<[u8]>) {
    if let Some(seen) = sighting(bytes.as_ref()) {
        panic!("a secret is in {what}: {seen}");
    }
    let text = String::from_utf8_lossy(bytes.as_ref());
    for key in EXECUTOR_KEYS.get().into_iter().flatten() {
        assert!(
            !text.contains(key.as_str()),
            "an executor's key is in {what}"
        );
    }
}

/// What the executors of the hub made up for themselves.
static EXECUTOR_KEYS: OnceLock<Vec<String>> = OnceLock::new();

fn executor_keys(hub: &Hub) -> Vec<String> {
    let executors = hub.executors();
    let keys = executors
        .iter()
        .map(|one| fs::read_to_string(one.dir.join("key")).unwrap());
    keys.map(|key| key.trim().to_owned()).collect()
}

/// The same of text for people, in which nothing of what the mirror said steers a terminal either.
#[track_caller]
fn tame(what: &str, text: &str) {
    clean(what, text);
    assert!(!text.contains(['\u{9b}', '\u{202e}']), "in {what}: {text}");
}

/// Every file below `folder`.
fn files(folder: &Path, all: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => files(&entry.path(), all),
            Ok(kind) if kind.is_file() => all.push(entry.path()),
            _ => {}
        }
    }
}

#[test]
fn a_secret_that_is_written_into_the_file_is_not_repeated() {
    let literal = config("http://127.0.0.1:9/", "http://127.0.0.1:9", |place| {
        format!("\"{}\"", canary(place))
    });
    let hub = Hub::prepare(&literal);
    for args in [
        &["check", "tripline.toml"][..],
        &["doctor", "tripline.toml"],
        &["serve", "tripline.toml"],
    ] {
        let output = hub.cli(args);
        assert_eq!(output.code, 2, "{args:?}: {output:?}");
        clean(&format!("{args:?}"), output.stdout + &output.stderr);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_ever_seen() {
    let (collector, mirror) = (Collector::start().await, Mirror::start().await);
    let sts = ScriptedSts::start(Duration::from_secs(3600)).await;
    let text = config(&collector.endpoint, &mirror.url, |place| match place {
        // One comes through the environment: nobody else's may have it.
        "bearer" => "{ env = \"BEARER_OF_THE_DOOR\" }".to_owned(),
        _ => format!("{{ file = \"secrets/{place}\" }}"),
    });
    let text = text.replace("LENDER", &sts.endpoint);
    let mut hub = Hub::prepare(&text);
    fs::create_dir(hub.path("secrets")).unwrap();
    for place in places() {
        hub.write_secret(&format!("secrets/{place}"), &canary(place));
    }
    let private = |mode| fs::Permissions::from_mode(mode);
    fs::create_dir(hub.path("data")).unwrap();
    fs::set_permissions(hub.path("data"), private(0o700)).unwrap();
    hub.write(TOKEN, &canary("admin-token"));
    fs::set_permissions(hub.path(TOKEN), private(0o600)).unwrap();
    hub.launch_with(&[("BEARER_OF_THE_DOOR", &canary("bearer"))])
        .await;
    assert_eq!(hub.token(), canary("admin-token"));

    let own = hub.invoke("own", "").await;
    hub.begun(&own).await;
    let keys = executor_keys(&hub);
    assert!(keys.len() == 1 && keys[0].len() > 20, "{keys:?}");
    EXECUTOR_KEYS.set(keys).expect("they are known once");
    let lent = hub.invoke("lent", "").await;
    assert_eq!(hub.ended(&lent).await["state"], "succeeded");
    assert!(sts.given() > 0);
    let mut ids = vec![own.clone(), lent];
    for function in ["other", "role", "target"] {
        let id = hub.invoke(function, "an event").await;
        assert_eq!(hub.ended(&id).await["state"], "failed", "{function}");
        ids.push(id);
    }
    for (path, token) in [
        ("/door", canary("bearer")),
        ("/s3", canary("s3-bearer")),
        ("/door", "x".to_owned()),
    ] {
        let call = hub.client().post(hub.gateway(path)).bearer_auth(token);
        let answer = call
            .body("{\"Records\":[{\"s3\":1}]}")
            .send()
            .await
            .unwrap();
        let head = format!("{answer:?}");
        clean(path, head + &answer.text().await.unwrap());
    }
    let failing = ["listed", "webhook", "login", "keys", "store"];
    eventually("every trigger has failed", async || {
        let triggers = hub.get("/v1/triggers").await;
        let failed = triggers["triggers"]
            .as_array()?
            .iter()
            .filter(|one| one["error"].is_string());
        let failed: Vec<_> = failed.filter_map(|one| one["name"].as_str()).collect();
        let all = failing.iter().all(|name| failed.contains(name));
        (all && mirror.asked() > 3).then_some(())
    })
    .await;

    // An executor's folder goes with it: its log, scratch and what it could not hand over are looked at while it is there.
    let executor = hub.executors()[0].dir.clone();
    let searched = data(&hub);
    assert!(searched.contains(&executor.join("log")), "{searched:?}");
    processes(&hub, &own);
    commands(&hub, &ids);
    answers(&hub, &ids).await;
    let stop = hub.call(&format!("/v1/invocations/{own}/terminate"));
    assert!(stop.send().await.unwrap().status().is_success());
    hub.ended(&own).await;
    hub.signal(nix::sys::signal::Signal::SIGTERM);
    hub.exited().await;
    tame("the hub's log", &hub.lines("hub.log").join("\n"));
    data(&hub);
    let spans = collector.spans();
    assert!(!spans.is_empty());
    clean("the spans", format!("{spans:?}"));
    // It was there to be seen: the collector was told its own.
    assert!(sighting(format!("{:?}", collector.headers()).as_bytes()).is_some());
}

/// What the hub and its executors keep now. Gives the files that were searched.
fn data(hub: &Hub) -> Vec<PathBuf> {
    let mut all = Vec::new();
    files(&hub.path("data"), &mut all);
    assert!(
        all.iter().any(|path| path.ends_with("journal.db")),
        "{all:?}"
    );
    all.retain(|path| !path.ends_with(TOKEN) && !is_key(path));
    for path in &all {
        // What is gone by now has nothing any more.
        let bytes = fs::read(path).unwrap_or_default();
        clean(&path.display().to_string(), bytes);
    }
    all
}

/// Whether it is an executor's key, in that executor's folder.
fn is_key(path: &Path) -> bool {
    let folder = path.parent().and_then(Path::parent);
    path.ends_with("key") && folder.is_some_and(|folder| folder.ends_with("data/executors"))
}

/// What other processes of the machine see.
fn processes(hub: &Hub, own: &str) {
    let read = |pid: i32, file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let hub_pid = i32::try_from(hub.pid()).unwrap();
    clean("the hub's command line", read(hub_pid, "cmdline"));
    let executor = hub.executors()[0].pid;
    clean("the executor's command line", read(executor, "cmdline"));
    clean("the executor's environment", read(executor, "environ"));
    let of_the_function = processes_with(own);
    assert!(!of_the_function.is_empty());
    for pid in of_the_function {
        clean("the function's command line", read(pid, "cmdline"));
        let environ = String::from_utf8_lossy(&read(pid, "environ")).into_owned();
        let rest: Vec<_> = environ
            .split('\0')
            .filter(|one| !one.starts_with("OWN="))
            .collect();
        clean("the rest of the function's environment", rest.join("\n"));
    }
}

fn commands(hub: &Hub, ids: &[String]) {
    let mut all = vec![
        vec!["check", "tripline.toml"],
        vec!["doctor", "tripline.toml"],
        vec!["doctor", "tripline.toml", "--json"],
        vec!["functions"],
        vec!["triggers"],
        vec!["ps"],
    ];
    for id in ids {
        all.extend([vec!["show", id], vec!["logs", id]]);
    }
    for args in all {
        let output = hub.cli(&args);
        tame(&format!("{args:?}"), &(output.stdout + &output.stderr));
    }
}

/// Every GET that the API has, of every function, trigger and invocation.
async fn answers(hub: &Hub, ids: &[String]) {
    let api = hub.get("/openapi.json").await;
    let paths = api["paths"].as_object().unwrap();
    for (path, _) in paths
        .iter()
        .filter(|(_, operations)| operations["get"].is_object())
    {
        let names: &[&str] = if path.contains("/triggers/") {
            &["door", "listed", "webhook", "login", "keys", "store"]
        } else {
            &["own", "other", "role", "lent", "target"]
        };
        for name in names {
            for id in ids {
                let target = path.replace("{name}", name).replace("{id}", id);
                let answer = hub.request(&target).send().await.unwrap();
                let head = format!("{:?}", answer.headers());
                tame(&target, &(head + &answer.text().await.unwrap()));
            }
        }
    }
    let ended = &ids[2];
    let followed = hub.request(&format!(
        "/v1/invocations/{ended}/logs?follow=true&format=sse"
    ));
    let followed = followed.send().await.unwrap().text().await.unwrap();
    assert!(followed.contains("event: end"), "{followed}");
    clean("a followed log", followed);
}
