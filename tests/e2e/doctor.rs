//! `tripline doctor`: each thing that is wrong is found, with a way to mend it, in bounded time. It shows no secrets
//! and changes nothing.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::{fs, io};

use serde_json::Value;
use tripline_tests::{Disk, Hub, Output, faketime, kafka, kafka_sasl, s3_store, skipped};

/// What a check found.
fn found(output: &Output, check: &str) -> Value {
    let report: Value =
        serde_json::from_str(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().find(|one| one["check"] == check);
    found
        .unwrap_or_else(|| panic!("no {check} in {checks:#?}"))
        .clone()
}

#[track_caller]
fn is(output: &Output, check: &str, verdict: &str, words: &str) {
    let found = found(output, check);
    assert_eq!(found["verdict"], verdict, "{found}");
    assert!(found.to_string().contains(words), "no {words:?} in {found}");
    assert_eq!(found["help"].is_string(), verdict != "good", "{found}");
}

fn doctor(hub: &Hub) -> Output {
    hub.cli(&["doctor", "tripline.toml", "--json"])
}

/// The same, started by another program with these arguments.
fn doctor_under(hub: &Hub, program: &[&str]) -> io::Result<Output> {
    let mut command = Command::new(program[0]);
    command.args(&program[1..]).arg(Hub::binary());
    command.args(["doctor", "tripline.toml", "--json"]);
    let done = command.current_dir(hub.path("")).output()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Output {
        code: done.status.code().unwrap_or(-1),
        stdout: text(done.stdout),
        stderr: text(done.stderr),
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthy_machine_is_told_so_with_and_without_a_hub() {
    let mut hub = Hub::prepare("[functions.f]\ncommand = [\"true\"]\n");
    let output = doctor(&hub);
    assert_eq!(output.code, 0, "{output:?}");
    is(&output, "data directory", "good", "will be made");
    is(&output, "journal size", "good", "10240 MiB");
    for check in ["clock", "gateway address", "admin address", "program of f"] {
        assert_ne!(found(&output, check)["verdict"], "bad", "{output:?}");
    }
    assert!(
        found(&output, "disk sync")["what"]
            .as_str()
            .unwrap()
            .contains("for a small write")
    );
    assert!(!hub.path("data").exists(), "nothing is changed");

    hub.launch().await;
    let (gateway, admin) = (hub.gateway(""), hub.admin(""));
    let listen = |url: &str| url.trim_start_matches("http://").to_owned();
    let text = format!(
        "[gateway]\nlisten = \"{}\"\n[admin]\nlisten = \"{}\"\n[functions.f]\ncommand = [\"true\"]\n",
        listen(&gateway),
        listen(&admin)
    );
    hub.write("tripline.toml", &text);
    let output = doctor(&hub);
    assert_eq!(output.code, 0, "{output:?}");
    is(&output, "data directory", "good", "the hub's alone");
    is(
        &output,
        "gateway address",
        "good",
        "a hub runs on this data directory",
    );
    let left = fs::read_dir(hub.path("data")).unwrap().flatten();
    assert_eq!(
        left.filter(|one| one.file_name().to_string_lossy().contains("doctor"))
            .count(),
        0
    );
    let text = hub.cli(&["doctor", "tripline.toml"]).stdout;
    assert!(text.contains("ok   data directory"), "{text}");
}

#[test]
fn what_is_wrong_is_found_with_a_way_to_mend_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let closed = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    let hub = Hub::prepare("");
    hub.write(
        "tripline.toml",
        &format!(
            r#"
[gateway]
listen = "{}"
[admin]
listen = "127.0.0.1:0"
tls = {{ cert = "no-such-cert.pem", key = "no-such-key.pem" }}
[traces]
endpoint = "http://{closed}/v1/traces"
[functions.gone]
command = ["no-such-program-anywhere"]
env = {{ KEY = {{ env = "NEVER_SET_ANYWHERE" }} }}
[functions.far]
runtime = "http"
url = "http://{closed}/"
allow_private = true
[functions.near]
runtime = "http"
url = "http://{closed}/"
[functions.robot]
command = ["true"]
[functions.robot.role]
sts = "http://{closed}"
access_key = {{ file = "key" }}
secret_key = {{ file = "key" }}
[triggers.orders]
kind = "kafka"
function = "gone"
"bootstrap.servers" = "{closed}"
topics = ["orders"]
[triggers.uploads]
kind = "s3"
function = "gone"
endpoint = "http://{closed}"
access_key = {{ file = "key" }}
secret_key = {{ file = "key" }}
bucket = "uploads"
mode = "poll"
"#,
            taken.local_addr().unwrap()
        ),
    );
    hub.write_secret("key", "canary-of-a-secret");
    fs::create_dir(hub.path("data")).unwrap();
    fs::set_permissions(hub.path("data"), fs::Permissions::from_mode(0o755)).unwrap();
    let output = doctor(&hub);
    assert_eq!(output.code, 1, "{output:?}");
    is(&output, "data directory", "doubtful", "chmod 700");
    is(&output, "admin certificate", "bad", "no-such-cert.pem");
    is(&output, "target of near", "bad", "allow_private");
    is(&output, "gateway address", "bad", "in use");
    is(
        &output,
        "program of gone",
        "bad",
        "no-such-program-anywhere",
    );
    is(
        &output,
        "secret environment variable `NEVER_SET_ANYWHERE`",
        "bad",
        "is not set",
    );
    is(&output, "secret file `key`", "good", "");
    let refused = closed.port().to_string();
    for check in ["target of far", "traces"] {
        is(&output, check, "bad", &refused);
    }
    is(&output, "credentials of robot", "bad", "role");
    is(&output, "trigger orders", "bad", "orders");
    is(&output, "trigger uploads", "bad", "cannot be listed");
    assert!(!output.stdout.contains("canary-of-a-secret"), "{output:?}");
    fs::set_permissions(hub.path("key"), fs::Permissions::from_mode(0o644)).unwrap();
    is(&doctor(&hub), "secret file `key`", "bad", "chmod 600");
    let started = hub.cli(&["serve", "tripline.toml"]);
    assert_eq!(started.code, 2, "{started:?}");
    assert!(started.stderr.contains("chmod 600"), "{started:?}");
    assert!(started.stderr.contains("use a new secret"), "{started:?}");
    hub.write("data/found", "by others");
    fs::set_permissions(hub.path("data"), fs::Permissions::from_mode(0o777)).unwrap();
    let text = hub.cli(&["doctor", "tripline.toml"]);
    assert_eq!(text.code, 1);
    assert!(
        text.stdout.contains("FAIL data directory"),
        "{}",
        text.stdout
    );
    assert!(text.stdout.contains("run `chmod 700"), "{}", text.stdout);
}

#[test]
fn a_key_that_others_can_read_is_refused_like_any_secret() {
    let hub = Hub::prepare("");
    let tls = "[gateway]\nlisten = \"127.0.0.1:0\"\n[admin]\nlisten = \"127.0.0.1:0\"\n\
               tls = { cert = \"cert.pem\", key = \"key.pem\" }\n";
    hub.write("tripline.toml", tls);
    hub.write("cert.pem", "");
    hub.write_secret("key.pem", "");
    is(&doctor(&hub), "admin certificate", "bad", "no certificate");
    fs::set_permissions(hub.path("key.pem"), fs::Permissions::from_mode(0o644)).unwrap();
    is(&doctor(&hub), "admin certificate", "bad", "chmod 600");
    let output = hub.refuses();
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("chmod 600"), "{output:?}");
}

#[test]
fn a_clock_that_is_in_the_past_is_bad() {
    let Some(library) = faketime("doctor and a clock of 1990") else {
        return;
    };
    let hub = Hub::prepare("[functions.f]\ncommand = [\"true\"]\n");
    let preload = format!("LD_PRELOAD={}", library.display());
    let at = |time: &str| {
        let time = format!("FAKETIME=@{time}");
        // Only the wall clock is set: what bounds a check goes on as before.
        let monotonic = "FAKETIME_DONT_FAKE_MONOTONIC=1";
        doctor_under(&hub, &["env", "TZ=UTC", &preload, &time, monotonic]).unwrap()
    };
    for past in ["1990-01-01 00:00:00", "2024-12-31 23:59:00"] {
        let output = at(past);
        let told = format!("it says {}", &past[..10]);
        is(&output, "clock", "bad", &told);
        is(&output, "clock", "bad", "set-ntp true");
        assert_eq!(output.code, 1, "{output:?}");
    }
    let output = at("2026-01-01 00:00:00");
    assert_ne!(found(&output, "clock")["verdict"], "bad", "{output:?}");
    assert_eq!(output.code, 0, "{output:?}");
}

#[test]
fn few_descriptors_are_doubtful() {
    let hub = Hub::prepare("[functions.f]\ncommand = [\"true\"]\nconcurrency = 100\n");
    match doctor_under(&hub, &["prlimit", "--nofile=128:1024"]) {
        Ok(output) => {
            is(
                &output,
                "open files",
                "doubtful",
                "128 may be open, about 1536 are needed",
            );
            is(
                &output,
                "open files of the executor",
                "doubtful",
                "1024 may be open, about 1728 are needed",
            );
            assert_eq!(output.code, 0, "{output:?}");
        }
        Err(error) => skipped("few descriptors", &format!("no prlimit: {error}")),
    }
}

#[test]
fn a_slow_disk_is_doubtful() {
    let hub = Hub::prepare("[functions.f]\ncommand = [\"true\"]\n");
    let slow = "inject=fdatasync:delay_enter=30000";
    let tracer = [
        "strace",
        "-f",
        "-qq",
        "-o",
        "/dev/null",
        "-e",
        "trace=fdatasync",
        "-e",
        slow,
    ];
    match doctor_under(&hub, &tracer) {
        Ok(output) if !output.stdout.is_empty() => {
            is(&output, "disk sync", "doubtful", "local SSD");
            assert_eq!(output.code, 0, "{output:?}");
        }
        failed => skipped("a slow disk", &format!("strace cannot be used: {failed:?}")),
    }
}

#[test]
fn a_disk_that_is_full_or_takes_no_writes_is_bad() {
    let hub = Hub::prepare("[functions.f]\ncommand = [\"true\"]\n");
    let Some(disk) = Disk::mount("a full disk", 64, &hub.path("data")) else {
        return;
    };
    let output = doctor(&hub);
    is(&output, "data directory", "bad", "make room");
    is(
        &output,
        "journal size",
        "doubtful",
        "set `data_dir` to a disk with more room",
    );
    assert_eq!(output.code, 1, "{output:?}");
    assert!(disk.try_remount("ro"));
    let output = doctor(&hub);
    is(&output, "data directory", "bad", "cannot be written");
    is(&output, "disk sync", "bad", "see `data directory`");
}

#[test]
fn a_refused_login_is_told_without_the_password() {
    let Some(bootstrap) = kafka_sasl("doctor and a refused login") else {
        return;
    };
    let hub = Hub::prepare(&format!(
        "[functions.f]\ncommand = [\"true\"]\n[triggers.orders]\nkind = \"kafka\"\nfunction = \"f\"\n\
         \"bootstrap.servers\" = \"{bootstrap}\"\ntopics = [\"orders\"]\n\"security.protocol\" = \"sasl_plaintext\"\n\
         \"sasl.mechanism\" = \"PLAIN\"\n\"sasl.username\" = \"alice\"\n\"sasl.password\" = {{ file = \"password\" }}\n"
    ));
    hub.write_secret("password", "canary-of-a-password");
    let output = doctor(&hub);
    is(&output, "trigger orders", "bad", "Authentication failed");
    assert_eq!(output.code, 1, "{output:?}");
    assert!(
        !output.stdout.contains("canary-of-a-password"),
        "{output:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn brokers_and_buckets_are_tried() {
    let (Some(bootstrap), Some(s3)) = (kafka("doctor"), s3_store("doctor")) else {
        return;
    };
    let topic = format!("doctor-{}", std::process::id());
    crate::kafka::topic(&bootstrap, &topic, 3, 1).await;
    s3.create(&topic).await;
    s3.put(&topic, "a", "1").await;
    let hub = Hub::prepare("");
    let config = format!(
        "[functions.f]\ncommand = [\"true\"]\n[triggers.orders]\nkind = \"kafka\"\nfunction = \"f\"\n\
         \"bootstrap.servers\" = \"{bootstrap}\"\ntopics = [\"{topic}\"]\n[triggers.uploads]\nkind = \"s3\"\n\
         function = \"f\"\nendpoint = \"{}\"\naccess_key = {{ file = \"access\" }}\nsecret_key = {{ file = \"secret\" }}\n\
         bucket = \"{topic}\"\nmode = \"poll\"\n",
        s3.endpoint
    );
    hub.write_secret("access", &s3.access_key);
    hub.write_secret("secret", &s3.secret_key);
    hub.configure(&config);
    let output = doctor(&hub);
    is(&output, "trigger orders", "good", "3 partitions");
    is(&output, "trigger uploads", "good", "1 objects");
    assert_eq!(output.code, 0, "{output:?}");
    hub.configure(&config.replace(&format!("[\"{topic}\"]"), "[\"no-such-topic\"]"));
    hub.write_secret("secret", "not-the-secret");
    let output = doctor(&hub);
    is(&output, "trigger orders", "bad", "no-such-topic");
    is(&output, "trigger uploads", "bad", "cannot be listed");
}
