//! The commands that talk to a running hub through its admin API.
//!
//! They find the address and the token by themselves ([`ClientOptions`]), show tables to people and JSON lines to
//! machines (`--json`), and never let foreign text steer a terminal.

mod args;
mod client;
pub(crate) mod escape;
mod failure;
mod invocations;
mod invoke;
mod locate;
mod logs;
mod registry;
mod sse;
mod table;
mod times;
mod trouble;

use std::io::{Read, Write};

use chrono::{DateTime, Utc};

use client::AdminClient;
use failure::Failure;

pub use args::{
    ClientCommand, ClientOptions, InvokeArgs, ListArgs, LogsArgs, PsArgs, ShowArgs, TerminateArgs,
    TriggerAction, TriggersArgs,
};
pub use failure::Exit;
pub(crate) use locate::{CONFIG_HERE, CONFIG_VARIABLE, own_data_dir};

/// Reads the environment.
pub(crate) type Env<'a> = &'a (dyn Fn(&str) -> Option<String> + Sync);

/// What a command may use of the process it runs in.
pub struct Terminal<'a> {
    /// Standard output: results only.
    pub out: &'a mut (dyn Write + Send),
    /// Standard error: remarks and errors.
    pub err: &'a mut (dyn Write + Send),
    /// Standard input, read by `invoke --data -`.
    pub input: &'a mut (dyn Read + Send),
    /// Whether `out` is a terminal: if so, control characters of foreign text are escaped.
    pub is_terminal: bool,
    /// Says on standard error that something takes its time, while a command waits.
    pub remark: &'a (dyn Fn(&str) + Sync),
    /// Reads the environment.
    pub env: &'a (dyn Fn(&str) -> Option<String> + Sync),
    /// The time now, for ages and `--since`.
    pub now: DateTime<Utc>,
}

/// Runs one command to its end; says on `terminal.err` what went wrong.
pub async fn run(command: ClientCommand, terminal: &mut Terminal<'_>) -> Exit {
    match attempt(command, terminal).await.and_then(|exit| {
        terminal.out.flush()?;
        Ok(exit)
    }) {
        Ok(exit) => exit,
        Err(failure) => {
            let exit = failure.exit();
            if exit != Exit::Done {
                // If even this cannot be written, there is no other place to report it.
                let words = escape::document(failure.to_string().as_bytes());
                let _ = writeln!(terminal.err, "tripline: {words}");
            }
            exit
        }
    }
}

async fn attempt(command: ClientCommand, terminal: &mut Terminal<'_>) -> Result<Exit, Failure> {
    let options = command.options();
    let hub = locate::locate(options, terminal.env)?;
    let client = AdminClient::new(hub, options.ca.as_deref(), terminal.remark)?;
    match command {
        ClientCommand::Invoke(args) => invoke::invoke(args, &client, terminal).await,
        ClientCommand::Ps(args) => invocations::ps(args, &client, terminal).await,
        ClientCommand::Show(args) => invocations::show(args, &client, terminal).await,
        ClientCommand::Logs(args) => logs::logs(args, &client, terminal).await,
        ClientCommand::Terminate(args) => invocations::terminate(args, &client, terminal).await,
        ClientCommand::Functions(args) => registry::functions(args, &client, terminal).await,
        ClientCommand::Triggers(args) => registry::triggers(args, &client, terminal).await,
    }
}

#[cfg(test)]
mod tests;
