//! The commands against a hub that answers from a script.

mod hub;
mod invocations;
mod invoke;
mod logs;
mod registry;
mod tls;

use std::fs::File;
use std::io::Write;
use std::sync::Mutex;
use std::time::Duration;

use clap::Parser;

use super::{ClientCommand, Exit, Terminal, run};
use hub::FakeHub;

/// What a command wrote and how it ended.
#[derive(Debug)]
struct Ran {
    exit: Exit,
    out: String,
    err: String,
    /// What was printed while it waited.
    remarks: String,
}

#[derive(Debug, Parser)]
struct CommandLine {
    #[command(subcommand)]
    command: ClientCommand,
}

/// Runs a command line against `hub`, as from a pipe.
async fn pipe(hub: &FakeHub, args: &[&str]) -> Ran {
    command(hub, args, false, b"from stdin").await
}

/// Runs a command line against `hub`, as from a terminal.
async fn terminal(hub: &FakeHub, args: &[&str]) -> Ran {
    command(hub, args, true, b"").await
}

/// Runs a command line whose output goes to a disk that is full.
async fn into_full_disk(hub: &FakeHub, args: &[&str]) -> Ran {
    let mut full = File::options().write(true).open("/dev/full").unwrap();
    let (exit, err, remarks) = into(hub, args, (false, &mut full), b"").await;
    let out = String::new();
    Ran {
        exit,
        out,
        err,
        remarks,
    }
}

async fn command(hub: &FakeHub, args: &[&str], is_terminal: bool, input: &[u8]) -> Ran {
    let mut out = Vec::new();
    let (exit, err, remarks) = into(hub, args, (is_terminal, &mut out), input).await;
    let out = String::from_utf8_lossy(&out).into_owned();
    Ran {
        exit,
        out,
        err,
        remarks,
    }
}

/// How it ended, and what it printed beside its output.
async fn into(
    hub: &FakeHub,
    args: &[&str],
    (is_terminal, out): (bool, &mut (dyn Write + Send)),
    mut input: &[u8],
) -> (Exit, String, String) {
    let url = hub.url.clone();
    let env = move |name: &str| match name {
        "TRIPLINE_ADMIN" => Some(url.clone()),
        "TRIPLINE_TOKEN" => Some("s3cret".to_owned()),
        _ => None,
    };
    let line = std::iter::once("tripline").chain(args.iter().copied());
    let parsed = CommandLine::try_parse_from(line).expect("the test's command line");
    let mut err = Vec::new();
    let remarks = Mutex::new(String::new());
    let mut terminal = Terminal {
        out,
        err: &mut err,
        input: &mut input,
        is_terminal,
        remark: &|words| remarks.lock().unwrap().push_str(words),
        env: &env,
        now: "2026-11-24T12:00:00Z".parse().expect("a moment"),
    };
    let exit = run(parsed.command, &mut terminal).await;
    let err = String::from_utf8_lossy(&err).into_owned();
    (exit, err, remarks.into_inner().unwrap())
}

#[test]
fn the_command_line_is_sound_and_every_help_tells_the_exit_codes() {
    use clap::CommandFactory;
    let mut line = CommandLine::command();
    line.clone().debug_assert();
    for command in line.get_subcommands_mut() {
        let help = command.render_long_help().to_string();
        assert!(
            help.contains("Exit codes:") && help.contains("Examples:"),
            "{help}"
        );
        assert!(
            help.contains("--token-file") && !help.contains("--token "),
            "{help}"
        );
    }
}

#[tokio::test]
async fn nobody_there_and_not_allowed_have_their_own_exit_codes() {
    let hub = FakeHub::start().await;
    hub.answer(
        "GET /v1/functions",
        401,
        r#"{"title":"the token is missing or wrong"}"#,
    );
    let ran = pipe(&hub, &["functions"]).await;
    assert_eq!(ran.exit, Exit::Unauthorised);
    assert!(
        ran.err.contains("missing or wrong") && ran.err.contains("TRIPLINE_TOKEN"),
        "{ran:?}"
    );
    let asked = format!(
        "Asked was {}/ with the token in TRIPLINE_TOKEN: another token was made since, or another hub answers there",
        hub.url
    );
    assert!(ran.err.contains(&asked), "{ran:?}");
    assert!(!ran.err.contains("s3cret"), "{ran:?}");

    let gone = FakeHub::gone().await;
    let ran = pipe(&gone, &["functions"]).await;
    assert_eq!(ran.exit, Exit::Unreachable);
    assert!(
        ran.err.contains(&gone.url) && ran.err.contains("tripline serve"),
        "{ran:?}"
    );
}

#[tokio::test]
async fn a_hub_that_says_nothing_is_waited_for_with_a_word() {
    let hub = FakeHub::start().await;
    hub.answer("GET /v1/functions", 200, r#"{"functions":[]}"#);
    let ran = pipe(&hub, &["functions"]).await;
    assert_eq!((ran.exit, &*ran.remarks), (Exit::Done, ""));
    hub.hesitates(Duration::from_secs(4));
    let ran = pipe(&hub, &["functions"]).await;
    let words = format!("waiting for an answer of {}/", hub.url);
    assert_eq!((ran.exit, ran.remarks), (Exit::Done, words));
}

#[tokio::test]
async fn the_gateway_is_not_taken_for_the_hub() {
    let hub = FakeHub::start().await;
    hub.answer(
        "GET /v1/functions",
        404,
        r#"{"type":"urn:tripline:unknown_route","title":"nothing listens at this path"}"#,
    );
    let ran = pipe(&hub, &["functions"]).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("is it the gateway?"), "{ran:?}");
}

#[tokio::test]
async fn something_else_at_the_address_is_said_to_be_that() {
    let hub = FakeHub::start().await;
    hub.answer("GET /v1/functions", 200, "<html>");
    let ran = pipe(&hub, &["functions"]).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("not a Tripline hub"), "{ran:?}");
}
