//! What the user can type.

use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, Subcommand};
use tripline_model::InvocationState;

/// Commands that speak to a running hub.
#[derive(Debug, Subcommand)]
pub enum ClientCommand {
    /// Call a function and print the RequestId (or the result, if the function is sync)
    #[command(after_help = INVOKE_HELP)]
    Invoke(InvokeArgs),
    /// List invocations, newest first
    #[command(after_help = PS_HELP)]
    Ps(PsArgs),
    /// Show one invocation
    #[command(after_help = SHOW_HELP)]
    Show(ShowArgs),
    /// Print the log of an invocation
    #[command(after_help = LOGS_HELP)]
    Logs(LogsArgs),
    /// Stop an invocation, or cancel it before its start
    #[command(after_help = TERMINATE_HELP)]
    Terminate(TerminateArgs),
    /// List functions
    #[command(after_help = FUNCTIONS_HELP)]
    Functions(ListArgs),
    /// List triggers and their state; pause or resume one
    #[command(after_help = TRIGGERS_HELP)]
    Triggers(TriggersArgs),
}

/// How the hub is found. The token is never an argument: it comes from TRIPLINE_TOKEN, a file, or the data directory.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Finding the hub")]
pub struct ClientOptions {
    /// Address of the admin API [env: TRIPLINE_ADMIN] [default: what a hub wrote into its data directory, else
    /// http://127.0.0.1:8081]
    #[arg(long, global = true, value_name = "URL")]
    pub admin: Option<String>,
    /// File that holds the token; TRIPLINE_TOKEN goes before it
    #[arg(long, global = true, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// The hub's data directory, where its address and token lie [default: as tripline.toml says, else ./data]
    #[arg(long, global = true, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// The hub's config file, which names the data directory [env: TRIPLINE_CONFIG] [default: ./tripline.toml if there
    /// is one]
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Certificates (PEM) to trust instead of the system's, for an https address
    #[arg(long, global = true, value_name = "FILE")]
    pub ca: Option<PathBuf>,
}

/// Arguments of `invoke`.
#[derive(Debug, Args)]
pub struct InvokeArgs {
    /// The function's name
    pub function: String,
    /// The event's data: text, @FILE for a file's bytes, or - for standard input
    #[arg(
        long,
        short,
        value_name = "TEXT|@FILE|-",
        default_value = "",
        hide_default_value = true,
        allow_hyphen_values = true
    )]
    pub data: String,
    /// The data's content type
    #[arg(long, value_name = "TYPE")]
    pub content_type: Option<String>,
    /// Idempotency key: the same key and data again give the same RequestId
    #[arg(long, value_name = "KEY")]
    pub key: Option<String>,
    /// Print the log until the invocation has ended; exit 1 unless it succeeded. Of a sync function the result is
    /// printed, and the log on standard error
    #[arg(long, short)]
    pub follow: bool,
    /// How the hub is found.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// Arguments of `ps`.
#[derive(Debug, Args)]
pub struct PsArgs {
    /// Only this function's
    #[arg(long, value_name = "NAME")]
    pub function: Option<String>,
    /// Only this trigger's
    #[arg(long, value_name = "NAME")]
    pub trigger: Option<String>,
    /// Only in this state
    #[arg(long, value_name = "STATE", value_parser = states())]
    pub state: Option<String>,
    /// Only accepted since then: a span such as 15m, 2h or 7d, or a moment such as 2026-11-24T21:00:00Z
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: u64,
    /// All of them
    #[arg(long, conflicts_with = "limit")]
    pub all: bool,
    /// One JSON object a line, as the API gives it
    #[arg(long)]
    pub json: bool,
    /// How the hub is found.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// The RequestId
    pub request_id: String,
    /// One JSON object, as the API gives it
    #[arg(long)]
    pub json: bool,
    /// Print the result (what the function wrote to stdout) and nothing else
    #[arg(long, conflicts_with = "json")]
    pub result: bool,
    /// How the hub is found.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// Arguments of `logs`.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// The RequestId
    pub request_id: String,
    /// Go on until the invocation has ended; exit 1 unless it succeeded
    #[arg(long, short)]
    pub follow: bool,
    /// Begin each line with the time and the stream
    #[arg(long)]
    pub timestamps: bool,
    /// One JSON object a line, as the API gives it
    #[arg(long, conflicts_with = "timestamps")]
    pub json: bool,
    /// How the hub is found.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// Arguments of `terminate`.
#[derive(Debug, Args)]
pub struct TerminateArgs {
    /// The RequestId
    pub request_id: String,
    /// Only ask the function to stop (SIGTERM): it may go on to its own end
    #[arg(long)]
    pub grace: bool,
    /// How the hub is found.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// Arguments of `functions`.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// One JSON object a line, as the API gives it
    #[arg(long)]
    pub json: bool,
    /// How the hub is found.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// Arguments of `triggers`.
#[derive(Debug, Args)]
pub struct TriggersArgs {
    /// What to do; lists the triggers if left out
    #[command(subcommand)]
    pub action: Option<TriggerAction>,
    /// One JSON object a line, as the API gives it
    #[arg(long, global = true)]
    pub json: bool,
    /// How the hub is found.
    #[command(flatten)]
    pub options: ClientOptions,
}

/// What can be done to a trigger.
#[derive(Debug, Subcommand)]
pub enum TriggerAction {
    /// Stop taking events from it until it is resumed or the hub starts again
    #[command(after_help = PAUSE_HELP)]
    Pause {
        /// The trigger's name
        name: String,
    },
    /// Take events from it again
    #[command(after_help = RESUME_HELP)]
    Resume {
        /// The trigger's name
        name: String,
    },
}

/// The words for states.
fn states() -> PossibleValuesParser {
    InvocationState::ALL.map(InvocationState::as_str).into()
}

// === impl ClientCommand ===

impl ClientCommand {
    pub(crate) fn options(&self) -> &ClientOptions {
        match self {
            Self::Invoke(args) => &args.options,
            Self::Ps(args) => &args.options,
            Self::Show(args) => &args.options,
            Self::Logs(args) => &args.options,
            Self::Terminate(args) => &args.options,
            Self::Functions(args) => &args.options,
            Self::Triggers(args) => &args.options,
        }
    }
}

/// The exit codes, shown by every client command's help.
macro_rules! help {
    ($examples:literal) => {
        help!($examples, "")
    };
    ($examples:literal, $failed:literal) => {
        concat!(
            "Examples:\n",
            $examples,
            "\n\nExit codes:\n  0  done\n  1  refused, or a followed invocation did not succeed\n",
            $failed,
            "  2  the command line, a file or the config cannot be used\n  3  no hub answers, or none was started here\n",
            "  4  no token, or not the right one"
        )
    };
}

const INVOKE_HELP: &str = help!(
    "  tripline invoke deploy --data '{\"ref\":\"main\"}' --content-type application/json\n  \
     tripline invoke thumbnail --data @photo.jpg --follow\n  \
     date | tripline invoke report --data - --key today",
    "     or the hub went away before it answered: the event may be accepted\n"
);
const PS_HELP: &str = help!(
    "  tripline ps\n  tripline ps --function bill --state failed --since 2h\n  \
     tripline ps --all --json | jq -r .request_id"
);
const SHOW_HELP: &str = help!(
    "  tripline show 019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e\n  \
     tripline show 019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e --result > thumbnail.jpg"
);
const LOGS_HELP: &str =
    help!("  tripline logs -f --timestamps 019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e");
const TERMINATE_HELP: &str =
    help!("  tripline terminate 019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e --grace");
const FUNCTIONS_HELP: &str = help!("  tripline functions\n  tripline functions --json");
const PAUSE_HELP: &str = help!("  tripline triggers pause orders");
const RESUME_HELP: &str = help!("  tripline triggers resume orders");
const TRIGGERS_HELP: &str = help!(
    "  tripline triggers\n  tripline triggers pause orders\n  tripline triggers resume orders"
);
