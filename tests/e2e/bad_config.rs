//! Configurations that are wrong, half-written or hostile.
//!
//! A start that is refused names everything that is wrong, missing secrets included. A running hub never reads its
//! file again: there is no reloading. Files that are cut short, huge, deeply nested or not text are refused in
//! bounded memory, and thousands of triggers are checked in time.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use tripline_tests::{Hub, Output};

const GOOD: &str = r#"
[hub]
qps = 500
[functions.f]
command = ["sh", "-c", "cat"]
timeout = "10m"
env = { KEY = "välue" }
[triggers.hook]
kind = "http"
function = "f"
route = "POST /hook/{name}"
auth = "none"
[triggers.nightly]
kind = "cron"
function = "f"
schedule = "0 2 * * *"
timezone = "Europe/Berlin"
payload = '{"full": true}'
"#;

/// Runs `check` with at most 512 MiB of address space and 20 s; -1 or 124 would be the code of one that needs more.
fn check(hub: &Hub, file: &str) -> Output {
    let limited = "ulimit -v 524288; exec timeout -s KILL 20 \"$0\" check \"$1\"";
    let done = std::process::Command::new("sh")
        .args(["-c", limited])
        .arg(Hub::binary())
        .arg(file)
        .current_dir(hub.path(""))
        .stdin(Stdio::null())
        .output()
        .expect("a shell can be run");
    Output {
        code: done.status.code().unwrap_or(-1),
        stdout: String::from_utf8_lossy(&done.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

fn refused(output: &Output, words: &str) {
    assert_eq!(output.code, 2, "{output:?}");
    assert!(output.stderr.contains(words), "no {words:?} in {output:?}");
    assert!(!output.stderr.contains("panicked"), "{output:?}");
    assert!(
        output.stderr.len() < 64 * 1024,
        "{} bytes",
        output.stderr.len()
    );
}

#[test]
fn a_start_names_all_that_is_wrong_and_leaves_nothing_behind() {
    let wrong = [
        ("[functions.f\ncommand = 1\n", vec!["tripline.toml:5:13"]),
        (
            "[functions.f]\ncommand = [\"true\"]\n[functions.f]\ncommand = [\"false\"]\n",
            vec!["tripline.toml:7:12", "duplicate key `f`"],
        ),
        (
            "[triggers.a]\nkind = \"http\"\n[triggers.a]\nkind = \"cron\"\n[hub]\nqsp = 1\n",
            vec![
                "duplicate key `a`",
                "tripline.toml:7:11",
                "unknown key `qsp`",
                "tripline.toml:10:1",
            ],
        ),
        (
            "[functions.f]\ncommand = [\"true\"]\n[triggers.a]\nkind = \"s4\"\nfunction = \"g\"\n",
            vec![
                "unknown value `s4` for `triggers.a.kind`",
                "there is no function `g`",
                "tripline.toml:8:8",
            ],
        ),
        (
            "[functions.f]\ncommand = [\"true\"]\nenv = { A = { env = \"NEVER_SET_1\" }, B = { env = \"NEVER_SET_2\" } }\n",
            vec!["NEVER_SET_1", "NEVER_SET_2"],
        ),
    ];
    for (text, words) in wrong {
        let hub = Hub::prepare(text);
        let output = hub.refuses();
        for words in words {
            refused(&output, words);
        }
        assert!(!hub.path("data/journal.db").exists(), "{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_hub_is_not_touched_by_what_becomes_of_its_file() {
    let mut hub = Hub::start(GOOD).await;
    let before = hub.post("/hook/before", "1").await;
    hub.ended(&before).await;
    hub.configure("[functions.f]\ncommand = [\"true\"\n");
    refused(&hub.cli(&["check", "tripline.toml"]), "tripline.toml:");
    let during = hub.post("/hook/during", "2").await;
    hub.ended(&during).await;
    fs::remove_file(hub.path("tripline.toml")).unwrap();
    let without = hub.post("/hook/without", "3").await;
    hub.ended(&without).await;
    // The next start needs a good file, and finds everything as it was.
    hub.kill().await;
    hub.configure("[functions.f]\ncommand = [\"true\"\n");
    refused(&hub.refuses(), "tripline.toml:");
    hub.configure(GOOD);
    hub.launch().await;
    for id in [before, during, without] {
        assert_eq!(hub.ended(&id).await["state"], "succeeded");
    }
}

#[test]
fn a_file_that_is_half_written_is_good_or_refused() {
    let hub = Hub::prepare("");
    let bytes = GOOD.as_bytes();
    let mut good = 0;
    for end in (0..bytes.len()).step_by(7).chain([bytes.len()]) {
        fs::write(hub.path("half.toml"), &bytes[..end]).unwrap();
        let output = check(&hub, "half.toml");
        match output.code {
            0 => good += 1,
            _ => refused(&output, "half.toml"),
        }
    }
    // The whole, the empty beginning, and cuts between keys that are not needed.
    assert!((2..20).contains(&good), "{good} were good");
}

#[test]
fn hostile_files_are_refused_quickly_and_in_little_memory() {
    let hub = Hub::prepare("");
    let huge = fs::File::create(hub.path("huge.toml")).unwrap();
    huge.set_len(1 << 30).unwrap();
    refused(&check(&hub, "huge.toml"), "longer than 4 MiB");
    refused(&check(&hub, "/dev/zero"), "longer than 4 MiB");
    // The cut after 4 MiB goes through a character.
    for text in ["#".to_owned() + &"é".repeat(3 << 20), "é".repeat(3 << 20)] {
        hub.write("long.toml", &text);
        refused(&check(&hub, "long.toml"), "longer than 4 MiB");
    }
    fs::write(hub.path("bytes.toml"), b"[hub]\n# \xff\xfe\n").unwrap();
    refused(&check(&hub, "bytes.toml"), "line 2 is not UTF-8");
    fs::write(hub.path("nul.toml"), b"[hub]\n\0\0\0\n").unwrap();
    refused(&check(&hub, "nul.toml"), "nul.toml:2:");
    for deep in [
        "a = ".to_owned() + &"[".repeat(200_000),
        "a = ".to_owned() + &"{a=".repeat(200_000),
        "a".to_owned() + &".a".repeat(200_000) + " = 1\n",
        "[".to_owned() + &"a.".repeat(200_000) + "a]\n",
        "[[".to_owned() + &"a.".repeat(200_000) + "a]]\n",
        "[functions.f]\nenv = { A = ".to_owned() + &"[1,".repeat(200_000),
    ] {
        hub.write("deep.toml", &deep);
        refused(&check(&hub, "deep.toml"), "deep.toml:");
    }
    refused(&check(&hub, "."), "Is a directory");
    refused(&check(&hub, "nothing.toml"), "No such file");
}

#[test]
fn a_symlink_is_read_as_what_it_leads_to() {
    let hub = Hub::prepare(GOOD);
    symlink("tripline.toml", hub.path("link.toml")).unwrap();
    assert_eq!(check(&hub, "link.toml").code, 0);
    symlink("nowhere.toml", hub.path("dangling.toml")).unwrap();
    refused(&check(&hub, "dangling.toml"), "No such file");
    symlink("loop.toml", hub.path("loop.toml")).unwrap();
    refused(&check(&hub, "loop.toml"), "symbolic links");
}

#[test]
fn ten_thousand_triggers_are_checked_in_time() {
    let timers: String = (0..10_000)
        .map(|n| {
            format!("[triggers.t{n}]\nkind = \"cron\"\nfunction = \"f\"\nschedule = \"@daily\"\n")
        })
        .collect();
    let routes: String = (0..2_000)
        .map(|n| {
            format!("[triggers.h{n}]\nkind = \"http\"\nfunction = \"f\"\nroute = \"POST /h{n}/{{id}}\"\nauth = \"none\"\n")
        })
        .collect();
    let hub = Hub::prepare("");
    let function = "[functions.f]\ncommand = [\"true\"]\n";
    hub.write("many.toml", &format!("{function}{timers}{routes}"));
    let output = check(&hub, "many.toml");
    assert_eq!(output.code, 0, "{output:?}");
    assert!(output.stdout.contains("12000 triggers"), "{output:?}");
    let twice = "[triggers.again]\nkind = \"http\"\nfunction = \"f\"\nroute = \"POST /h7/{x}\"\nauth = \"none\"\n";
    hub.write("many.toml", &format!("{function}{timers}{routes}{twice}"));
    refused(&check(&hub, "many.toml"), "of trigger `h7`");
}
