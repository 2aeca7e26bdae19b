//! What a configuration means, and what its mistakes are called.

mod refused;

use std::path::Path;

use super::*;
use crate::kinds::kinds;

fn read(text: &str) -> Result<Config, ConfigErrors> {
    Config::read(Path::new("dir/tripline.toml"), text, &kinds())
}

/// The report of a configuration that is wrong.
fn report(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("nothing was found wrong with it"),
        Err(errors) => errors.to_string(),
    }
}

#[test]
fn an_empty_file_is_a_hub_on_its_defaults() {
    let config = read("").unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(config.hub.qps.get(), 1000);
    assert_eq!(config.hub.push_share_percent, 20);
    assert_eq!(config.gateway.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.admin.listen.to_string(), "127.0.0.1:8081");
    assert_eq!(config.folder, Path::new("dir"));
    assert!(config.functions.is_empty() && config.triggers.is_empty());
}

#[test]
fn a_listener_has_its_bounds() {
    let of_one = |text: &str| {
        let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
        config.gateway.bounds.max_connections_per_address
    };
    assert_eq!(of_one(""), u32::MAX, "a proxy on loopback stands for many");
    assert_eq!(of_one("[gateway]\nlisten = '0.0.0.0:80'"), 256);
    assert_eq!(of_one("[gateway]\nmax_connections_per_address = 7"), 7);
    let found = report(
        r#"
        [gateway]
        max_connections = 0
        max_body_memory = "1MiB"
        [admin]
        max_connections_per_address = 0
        idle_timeout = "0s"
        "#,
    );
    for words in [
        "nobody could connect",
        "the largest body would never be taken",
        "no request can be there within no time",
    ] {
        assert!(found.contains(words), "{words:?} is not in\n{found}");
    }
}

#[test]
fn a_function_has_its_limits() {
    let text = r#"
        [functions.thumb]
        command = ["python3", "thumb.py"]
        env = { QUALITY = 80, KEY = { env = "THUMB_KEY" } }
        execution = "sync"
        timeout = "2h"
        concurrency = 3
        qps = "5/s"
        memory = "512MiB"
        cpu = 1.5
    "#;
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let thumb = &config.functions[0];
    let Runs::Program(program) = &thumb.runs else {
        panic!("a process is a program")
    };
    assert_eq!(program.command, ["python3", "thumb.py"]);
    assert_eq!(program.limits.memory_bytes, Some(512 << 20));
    assert_eq!(program.limits.cpu_millis, Some(1500));
    assert_eq!(thumb.function.timeout.as_secs(), 7200);
    assert_eq!(thumb.function.qps.map(u32::from), Some(5));
    assert_eq!(config.secrets(), [SecretRef::Env("THUMB_KEY".to_owned())]);
}

#[test]
fn every_mistake_is_found_in_one_run() {
    let found = report(
        r#"
[hub]
qps = 0
max_tiemout = "1h"
[admin]
listen = "0.0.0.0:8081"
[functions.Bad]
command = []
env = { CE_ID = "x" }
[functions.long]
command = ["true"]
timeout = "48h"
[triggers.t]
kind = "htpp"
function = "lnog"
"#,
    );
    for words in [
        "`hub.qps`",
        "did you mean `max_timeout`",
        "the admin API needs TLS",
        "a-z",
        "there is no program in it",
        "`TRIPLINE_` are set by the hub",
        "48h is longer than 24h, the longest run this hub allows",
        "unknown value `htpp` for `triggers.t.kind`",
        "did you mean \"http\"?",
        "there is no function `lnog`",
        "did you mean `long`?",
    ] {
        assert!(found.contains(words), "no {words:?} in\n{found}");
    }
}

#[test]
fn a_trigger_of_no_kind_has_no_unknown_keys() {
    let of = |name: &str, kind: &str| {
        report(&format!(
            "[functions.f]\ncommand = ['true']\n[triggers.{name}]\n{kind}\nfunction = 'f'\nqps = 5\n\
             enabled = true\nroute = 'POST /x'\nauth = 'none'"
        ))
    };
    for (found, words) in [
        (of("t", "kind = 'htpp'"), "unknown value `htpp`"),
        (of("t", "kind = 7"), "wrong value for `triggers.t.kind`"),
        (of("t", ""), "missing key `kind`"),
        (of("t", "knid = 'http'"), "did you mean `kind`"),
        (of("T", "kind = 'http'"), "a-z"),
    ] {
        assert!(found.contains(words), "no {words:?} in\n{found}");
        for key in ["route", "auth"] {
            let false_word = format!("unknown key `{key}`");
            assert!(!found.contains(&false_word), "{words:?}:\n{found}");
        }
    }
}

#[test]
fn a_worker_has_instances_and_a_role() {
    let text = r#"
[functions.w]
runtime = "worker"
command = ["python3", "-m", "awslambdaric"]
handler = "app.handler"
event_format = "aws"
concurrency = 8
min_instances = 1
[functions.w.role]
sts = "http://127.0.0.1:9000"
access_key = { env = "STS_KEY" }
secret_key = { env = "STS_SECRET" }
policy = '{"Version":"2012-10-17","Statement":[]}'
"#;
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    let Runs::Program(program) = &config.functions[0].runs else {
        panic!("a worker is a program")
    };
    let worker = program.worker.as_ref().expect("it is a worker");
    assert_eq!((worker.min_instances, worker.max_instances), (1, 8));
    assert_eq!(worker.handler.as_deref(), Some("app.handler"));
    assert!(worker.role, "instances know that credentials will come");
    assert_eq!(config.secrets().len(), 2);
}

#[test]
fn mistakes_about_what_is_run() {
    let found = report(
        r#"
[functions.a]
command = ["true"]
memory = "1KiB"
cpu = -1.0
pids = 0
nothing = 1
min_instances = 1
max_result = "1GiB"
[functions.b]
runtime = "worker"
command = ["true"]
min_instances = 9
role = { sts = "nowhere", access_key = { env = "A" }, secret_key = "plain", duration = "7h", policy = "{" }
[functions.c]
runtime = "http"
url = "ftp://user@host/"
command = ["true"]
[functions.c.headers]
"ce-id" = "1"
"#,
    );
    for words in [
        "no program can start in so little",
        "not a share of processors",
        "no program can run with none",
        "`min_instances` means nothing for runtime = \"process\"",
        "help: only for `runtime = \"worker\"`\n",
        "a result is at most 64 MiB",
        "9 is more than `max_instances`, 4",
        "this is not a URL",
        "secrets are not written in the file",
        "credentials are valid from 15m to 6h",
        "this is not JSON",
        "this is not a URL to post to",
        "`command` means nothing for runtime = \"http\"",
        "help: only for `runtime = \"process\"` or `\"worker\"`\n",
        "this header is set by the hub",
    ] {
        assert!(found.contains(words), "no {words:?} in\n{found}");
    }
    assert!(!found.contains("plain"), "a secret shows in\n{found}");
    let allowed = found.lines().find(|line| line.contains("allowed here"));
    assert!(
        allowed.is_some_and(|line| line.ends_with(", role")),
        "what is refused is not allowed:\n{found}"
    );
}

#[test]
fn a_longer_run_can_be_allowed() {
    let text = "[hub]\nmax_timeout = '48h'\n[functions.f]\ncommand = ['true']\ntimeout = '36h'";
    assert!(read(text).is_ok());
}

#[test]
fn traces_go_where_they_are_sent() {
    let text = r#"
        [traces]
        endpoint = "https://collector.example/v1/traces"
        headers = { authorization = { env = "OTLP_AUTH" }, team = "video" }
        share = 0.25
    "#;
    let config = read(text).unwrap_or_else(|errors| panic!("{errors}"));
    assert_eq!(
        config.secrets().len(),
        1,
        "the hub does not start without it"
    );
    let traces = config.traces.unwrap();
    assert_eq!(traces.endpoint.host(), Some("collector.example"));
    assert_eq!((traces.headers.len(), traces.share), (2, 0.25));
    assert!(
        read("")
            .unwrap_or_else(|errors| panic!("{errors}"))
            .traces
            .is_none()
    );
    let report = report("[traces]\nendpoint = \"collector\"\nshare = 1.5\n");
    for words in [
        "this is not a URL to post to",
        "a share lies between 0 and 1",
    ] {
        assert!(report.contains(words), "{report}");
    }
}

#[test]
fn a_log_level_is_a_level() {
    for good in [
        "info",
        "WARN",
        "off",
        "warn,tripline=debug",
        "debug,aws_=trace",
    ] {
        let read = read(&format!("[hub]\nlog_level = '{good}'"));
        read.unwrap_or_else(|errors| panic!("{errors}"));
    }
    // All of these are targets to the library, and would make everything else silent.
    for wrong in [
        "",
        "warning",
        "verbose",
        "inf",
        "tripline",
        "info, tripline=debug",
        "=info",
        "a=loud",
    ] {
        let found = report(&format!("[hub]\nlog_level = '{wrong}'"));
        assert!(
            found.contains("this is not a log filter"),
            "{wrong:?}: {found}"
        );
    }
}

#[test]
fn gateway_and_admin_need_an_address_each() {
    let both = |gateway: &str, admin: &str| {
        let tls = "tls = { cert = 'c', key = 'k' }";
        read(&format!(
            "[gateway]\nlisten = '{gateway}'\n[admin]\nlisten = '{admin}'\n{tls}"
        ))
    };
    for (gateway, admin) in [
        ("127.0.0.1:80", "127.0.0.1:80"),
        ("0.0.0.0:80", "127.0.0.1:80"),
        ("127.0.0.1:80", "[::]:80"),
    ] {
        let found = both(gateway, admin).err().expect(gateway).to_string();
        assert!(found.contains("only one of them could"), "{found}");
        assert!(found.contains("tripline.toml:4:10"), "{found}");
    }
    for (gateway, admin) in [
        ("127.0.0.1:0", "127.0.0.1:0"),
        ("127.0.0.1:80", "127.0.0.2:80"),
        ("0.0.0.0:80", "[::1]:80"),
        ("0.0.0.0:80", "0.0.0.0:81"),
    ] {
        both(gateway, admin).unwrap_or_else(|errors| panic!("{errors}"));
    }
    assert!(report("[gateway]\nlisten = '127.0.0.1:8081'").contains("only one of them could"));
}

#[test]
fn a_body_the_hub_would_refuse_is_not_promised() {
    let with = |hub: &str, trigger: &str| {
        let text = format!(
            "[hub]\n{hub}\n[functions.f]\ncommand = ['true']\n\
             [triggers.t]\nkind = 'http'\nfunction = 'f'\nroute = 'POST /'\nauth = 'none'\n{trigger}"
        );
        read(&text)
    };
    let found = with("", "max_body = '6MiB'")
        .err()
        .expect("too much")
        .to_string();
    assert!(found.contains("no event of more than 1MiB"), "{found}");
    assert!(found.contains("raise `max_event` in [hub]"), "{found}");
    for (hub, trigger) in [
        ("max_event = '6MiB'", "max_body = '6MiB'"),
        // It was not asked for.
        ("max_event = '100KiB'", ""),
    ] {
        with(hub, trigger).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn what_is_missing_is_shown_with_an_example() {
    let found =
        report("[functions.f]\n[triggers.t]\n[gateway]\ntls = {}\n[hub]\npush_share = '20%'");
    for words in [
        r#"`command = ["python3", "thumbnail.py"]`"#,
        r#"allowed: "cron", "http", "kafka", "s3""#,
        r#"`function = "resize"`"#,
        r#"`cert = "tls/cert.pem"`"#,
        r#"`key = "tls/key.pem"`"#,
        "from 0 to 90",
    ] {
        assert!(found.contains(words), "no {words:?} in\n{found}");
    }
}

#[test]
fn every_key_is_in_the_readme() {
    let readme = concat!(
        include_str!("../../README.md"),
        include_str!("../../../listener/README.md")
    );
    for section in ["hub", "gateway", "admin", "triggers.t"] {
        let trigger = "kind = 'cron'\nfunction = 'f'\nschedule = '* * * * *'\n";
        let rest = if section == "triggers.t" { trigger } else { "" };
        let found = report(&format!(
            "[functions.f]\ncommand = ['true']\n[{section}]\n{rest}none_such_xyz = 1"
        ));
        let listed = found.split("allowed here: ").nth(1).expect("a list");
        let keys = listed.lines().next().expect("a line").split(", ");
        // What comes behind these four is the kind's.
        for key in keys.take(if section == "triggers.t" { 4 } else { 99 }) {
            assert!(readme.contains(&format!("`{key}`")), "{section}.{key}");
        }
    }
}
