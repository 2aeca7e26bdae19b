//! The hub: one binary that puts the parts together, and the command line that talks to it.
//!
//! This crate alone reads arguments and the environment, prints, and decides the exit code. Begin with `args` for the
//! commands, `config` for what `tripline.toml` may hold, and `serve` for how a hub starts and stops.

pub mod cli;
pub mod config;

mod adopt;
mod args;
mod check;
mod clock;
mod doctor;
mod executor;

mod journal;
mod kinds;
mod metrics;
mod panic_hook;
mod release;
mod secrets;
mod serve;
mod shell;
mod signals;
mod telemetry;
mod token;
mod traces;

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Parser;

use args::{Args, Command, JournalCommand};
use cli::{ClientCommand, Exit, Terminal};
use tripline_model::Clock;

pub use kinds::kinds;

/// Does what the command line says.
pub fn main() -> ExitCode {
    let (mut out, mut errors) = (io::stdout(), io::stderr());
    install_tls();
    let exit = match Args::parse().command {
        Command::Serve { file } => serve::serve(&config(file), &mut out, &mut errors),
        Command::Check { file, json } => check::check(&config(file), json, &mut out, &mut errors),
        Command::Doctor { file, json } => {
            let file = file.or_else(config_of_environment).or_else(there_is_one);
            doctor::doctor(file.as_deref(), json, &mut out, &mut errors)
        }
        Command::Journal(JournalCommand::Check { dir, json }) => match data_dir(dir, &mut errors) {
            Ok(dir) => journal::check(&dir, json, &mut out, &mut errors),
            Err(exit) => exit,
        },
        Command::Journal(JournalCommand::Adopt { dir, copy }) => match data_dir(dir, &mut errors) {
            Ok(dir) => adopt::adopt(&dir, &copy, &mut out, &mut errors),
            Err(exit) => exit,
        },
        Command::Executor { dir, id, release } => executor::execute(dir, id, release, &mut errors),
        Command::Completions { shell } => shell::completions(shell, &mut out),
        Command::Man { dir } => shell::man(&dir, &mut errors),
        Command::Client(command) => client(command),
    };
    ExitCode::from(exit as u8)
}

/// The configuration that is named, else that of the environment, else that of this folder.
fn config(named: Option<PathBuf>) -> PathBuf {
    let named = named.or_else(config_of_environment);
    named.unwrap_or_else(|| cli::CONFIG_HERE.into())
}

fn config_of_environment() -> Option<PathBuf> {
    let named = std::env::var_os(cli::CONFIG_VARIABLE)?;
    (!named.is_empty()).then(|| named.into())
}

/// The configuration of this folder, if there is one.
fn there_is_one() -> Option<PathBuf> {
    let here = PathBuf::from(cli::CONFIG_HERE);
    here.exists().then_some(here)
}

/// The data directory that is named, else that of the configuration, as other commands find it.
fn data_dir(named: Option<PathBuf>, errors: &mut impl Write) -> Result<PathBuf, Exit> {
    let env = |name: &str| std::env::var(name).ok();
    let dir = match named {
        Some(dir) => dir,
        None => cli::own_data_dir(&env)
            .map_err(|failure| Exit::Usage.after_output(writeln!(errors, "error: {failure}")))?,
    };
    Ok(plain(&dir))
}

/// The same path as people write it: `./data` beside `conf/tripline.toml` is `conf/data`.
fn plain(path: &Path) -> PathBuf {
    let shown: PathBuf = path.components().collect();
    match shown.strip_prefix(".") {
        Ok(below) if below != Path::new("") => below.to_owned(),
        _ => shown,
    }
}

/// One TLS provider for the whole process, chosen before anything can ask for one.
fn install_tls() {
    // An error only says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

fn client(command: ClientCommand) -> Exit {
    let runtime = match tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(_no_threads) => return Exit::Failed,
    };
    let (mut out, mut err) = (io::stdout(), io::stderr());
    let mut terminal = Terminal {
        is_terminal: out.is_terminal(),
        out: &mut out,
        err: &mut err,
        input: &mut io::stdin(),
        remark: &|words| {
            let _ = writeln!(io::stderr(), "{words}");
        },
        env: &|name| std::env::var(name).ok(),
        now: chrono::DateTime::from_timestamp_millis(clock::SystemClock.now().as_millis())
            .unwrap_or_default(),
    };
    runtime.block_on(cli::run(command, &mut terminal))
}
