//! The commands against a hub that answers from a script.

mod hub;
mod invocations;
mod invoke;
mod logs;
mod registry;

use clap::Parser;

use super::{ClientCommand, Exit, Terminal, run};
use hub::FakeHub;

/// What a command wrote and how it ended.
#[derive(Debug)]
struct Ran {
    exit: Exit,
    out: String,
    err: String,
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

async fn command(hub: &FakeHub, args: &[&str], is_terminal: bool, mut input: &[u8]) -> Ran {
    let url = hub.url.clone();
    let env = move |name: &str| match name {
        "TRIPLINE_ADMIN" => Some(url.clone()),
        "TRIPLINE_TOKEN" => Some("s3cret".to_owned()),
        _ => None,
    };
    let line = std::iter::once("tripline").chain(args.iter().copied());
    let parsed = CommandLine::try_parse_from(line).expect("the test's command line");
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let mut terminal = Terminal {
        out: &mut out,
        err: &mut err,
        input: &mut input,
        is_terminal,
        env: &env,
        now: "2026-11-24T12:00:00Z".parse().expect("a moment"),
    };
    let exit = run(parsed.command, &mut terminal).await;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ran {
        exit,
        out: text(out),
        err: text(err),
    }
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
async fn something_else_at_the_address_is_said_to_be_that() {
    let hub = FakeHub::start().await;
    hub.answer("GET /v1/functions", 200, "<html>");
    let ran = pipe(&hub, &["functions"]).await;
    assert_eq!(ran.exit, Exit::Failed);
    assert!(ran.err.contains("not a Tripline hub"), "{ran:?}");
}
