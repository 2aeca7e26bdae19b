//! The promise that a job leaves no process behind, kept on the real program.
#![cfg(target_os = "linux")]

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

const XTASK: &str = env!("CARGO_BIN_EXE_xtask");

#[test]
fn a_child_dies_with_its_job_even_if_that_is_killed() {
    let mut job = Command::new("sh")
        .args([
            "-c",
            "\"$0\" child --parent $$ -- sleep 600 & echo $!; wait",
            XTASK,
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(job.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    let child: u32 = line.trim().parse().unwrap();
    wait_until("the child has become sleep", || {
        command_line(child).starts_with("sleep\0")
    });
    job.kill().unwrap();
    job.wait().unwrap();
    wait_until("the child is gone", || command_line(child).is_empty());
}

#[test]
fn a_daemon_that_the_command_left_is_ended() {
    let output = services(&["sh", "-c", "setsid sleep 601 >&- 2>&- & echo $!"], &[]);
    assert!(output.status.success(), "{output:?}");
    let daemon: u32 = String::from_utf8_lossy(&output.stdout)
        .trim()
        .parse()
        .unwrap();
    assert!(String::from_utf8_lossy(&output.stderr).contains("ended a leftover process: s"));
    assert!(command_line(daemon).is_empty(), "the daemon runs on");
}

#[test]
fn the_command_decides_the_exit_code_and_knows_the_services() {
    let output = services(
        &["sh", "-c", "echo $TRIPLINE_TEST_S3_ENDPOINT; exit 7"],
        &[],
    );
    assert_eq!(output.status.code(), Some(7), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).starts_with("http://127.0.0.1:"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("SKIPPED: MinIO: no endpoint named and no minio on PATH"),
        "{stderr}"
    );
}

#[test]
fn a_named_service_that_is_not_there_is_a_failure_not_a_skip() {
    // A port that was free a moment ago: nobody answers.
    let port = TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let dead = format!("127.0.0.1:{port}");
    let output = services(&["sh", "-c", "echo ran"], &[("TRIPLINE_TEST_KAFKA", &dead)]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stdout.is_empty(), "the command ran");
    assert!(String::from_utf8_lossy(&output.stderr).contains("nothing answers there"));
}

/// Runs `xtask services -- COMMAND` where both services are named, and few programs are on `PATH`:
/// nothing is fetched or started.
fn services(command: &[&str], variables: &[(&str, &str)]) -> Output {
    let there = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = there.local_addr().expect("bound").to_string();
    let path = tempfile::tempdir().expect("a temporary folder");
    for program in ["sh", "sleep", "setsid"] {
        let found = ["/bin", "/usr/bin"].map(|folder| Path::new(folder).join(program));
        let found = found.iter().find(|file| file.exists()).expect("coreutils");
        symlink(found, path.path().join(program)).expect("writable");
    }
    Command::new(XTASK)
        .args(["services", "--"])
        .args(command)
        .env("PATH", path.path())
        .env("TRIPLINE_TEST_KAFKA", &address)
        .env("TRIPLINE_TEST_S3_ENDPOINT", format!("http://{address}"))
        .env("TRIPLINE_TEST_S3_ACCESS_KEY", "key")
        .env("TRIPLINE_TEST_S3_SECRET_KEY", "secret")
        .env_remove("TRIPLINE_TEST_MINIO_ENDPOINT")
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .expect("the program starts")
}

/// Empty once the process has ended, even if nobody has waited for it yet.
fn command_line(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default()
}

fn wait_until(what: &str, met: impl Fn() -> bool) {
    for _ in 0..1000 {
        if met() {
            return;
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("not within 10 s: {what}");
}
