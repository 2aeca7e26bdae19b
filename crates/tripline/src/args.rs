//! The arguments of the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use crate::cli::ClientCommand;

const EXAMPLES: &str = "\
Examples:
  tripline serve examples/quickstart/tripline.toml    run the hub
  tripline check tripline.toml                        find every mistake in a configuration
  tripline doctor tripline.toml                       what is wrong here, and how to mend it
  tripline invoke greet --data 'world'                call a function, get a RequestId
  tripline ps                                         what happened lately
  tripline logs -f REQUEST_ID                         follow a run

Exit codes: 0 well, 1 failed or refused, 2 wrong usage or configuration, 3 no hub reached, 4 not allowed";

/// Events in, async functions run at most once, and a true answer to what happened.
#[derive(Debug, Parser)]
#[command(name = "tripline", version, about, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the hub until it is told to stop (SIGTERM or Ctrl-C drains, a second one ends at once)
    #[command(after_help = SERVE_HELP)]
    Serve {
        /// The configuration [env: TRIPLINE_CONFIG] [default: ./tripline.toml]
        file: Option<PathBuf>,
    },
    /// Check a configuration without network or disk; every error at once
    #[command(after_help = CHECK_HELP)]
    Check {
        /// The configuration [env: TRIPLINE_CONFIG] [default: ./tripline.toml]
        file: Option<PathBuf>,
        /// One JSON object an error
        #[arg(long)]
        json: bool,
    },
    /// Say what is wrong with this machine and with what a configuration reaches, and how to mend it
    ///
    /// Looks at isolation, clock, data directory, disk, limits, addresses and programs; tries secrets, brokers, buckets,
    /// credentials of roles, targets of functions and the collector of traces. Nothing is changed and nothing is run;
    /// each check has 10 seconds.
    #[command(after_help = DOCTOR_HELP)]
    Doctor {
        /// The configuration to look at [env: TRIPLINE_CONFIG] [default: ./tripline.toml; where there is none, only the
        /// machine is looked at]
        file: Option<PathBuf>,
        /// One JSON object; where the configuration is wrong, one an error, as of `check`
        #[arg(long)]
        json: bool,
    },
    /// Look after a data directory that no hub uses
    #[command(subcommand, after_help = JOURNAL_HELP)]
    Journal(JournalCommand),
    /// Own function processes for a hub, which starts this by itself and may come and go meanwhile
    #[command(hide = true)]
    Executor {
        /// Its directory
        #[arg(long)]
        dir: PathBuf,
        /// Its id
        #[arg(long)]
        id: String,
        /// The build of the hub that started it
        #[arg(long)]
        release: String,
    },
    /// Print a completion script for a shell
    #[command(after_help = COMPLETIONS_HELP)]
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write a manual page for each command into a folder
    #[command(
        after_help = "Example:\n  tripline man /usr/local/share/man/man1 && man tripline-serve"
    )]
    Man {
        /// The folder; made if it is not there
        dir: PathBuf,
    },
    /// Everything that talks to a running hub
    #[command(flatten)]
    Client(ClientCommand),
}

/// What can be done to a data directory.
#[derive(Debug, Subcommand)]
pub(crate) enum JournalCommand {
    /// Say whether it is whole, and if not, what is lost and what to do; changes nothing
    ///
    /// Reads every record and every file of logs, which takes a while where there are many. Stop the hub first.
    #[command(after_help = JOURNAL_HELP)]
    Check {
        /// The data directory [default: as the configuration in TRIPLINE_CONFIG or ./tripline.toml says, else ./data]
        dir: Option<PathBuf>,
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// Make a copy of a journal the journal: after a move to another disk, or from a backup
    ///
    /// A hub refuses a data directory that was copied from another place: if a hub went on with the original, what waits
    /// in the copy may have run since, and would run again.
    #[command(after_help = ADOPT_HELP)]
    Adopt {
        /// The data directory [default: as the configuration in TRIPLINE_CONFIG or ./tripline.toml says, else ./data]
        dir: Option<PathBuf>,
        #[command(flatten)]
        copy: CopyAge,
    },
}

/// How old a copy is.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(crate) struct CopyAge {
    /// No hub has used the original since it was copied: what waits is run
    #[arg(long)]
    pub(crate) current: bool,
    /// One has, or may have: nothing of what the copy shows as open is run; it ends as cancelled, or as lost if it ran
    #[arg(long)]
    pub(crate) old: bool,
}

const SERVE_HELP: &str = "\
Examples:
  tripline serve
  tripline serve /etc/tripline/tripline.toml

Exit codes:
  0  stopped as it was told
  1  it could not start, cannot go on, or was told twice
  2  the configuration is wrong, or a secret is missing";

const CHECK_HELP: &str = "\
Examples:
  tripline check
  tripline check tripline.toml --json | jq -r .message

Exit codes:
  0  good
  2  something is wrong with it, or it cannot be read";

const DOCTOR_HELP: &str = "\
Examples:
  tripline doctor
  tripline doctor tripline.toml --json | jq '.checks[] | select(.verdict == \"bad\")'

Exit codes:
  0  nothing is bad
  1  something is, or a function that requires isolation would not run
  2  the configuration is wrong, or cannot be read";

const COMPLETIONS_HELP: &str = "\
Examples:
  tripline completions bash > /etc/bash_completion.d/tripline
  tripline completions zsh > \"${fpath[1]}/_tripline\"
  tripline completions fish > ~/.config/fish/completions/tripline.fish";

const JOURNAL_HELP: &str = "\
Examples:
  tripline journal check
  tripline journal check /var/lib/tripline --json | jq .verdict

Exit codes:
  0  whole, or the next start puts it right
  1  damaged: something is lost that was told as kept; or a copy, which a hub refuses
  2  it cannot be looked at: there is nothing, a hub uses it, or a newer tripline wrote it";

const ADOPT_HELP: &str = "\
Examples:
  tripline journal adopt /mnt/new/tripline --current    moved here, and used nowhere since
  tripline journal adopt /var/lib/tripline --old        put back from a backup

Exit codes:
  0  it is the journal now
  1  it is damaged, or no copy, or cannot be opened
  2  wrong usage, there is no journal, or a hub uses it";
