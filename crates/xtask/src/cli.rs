//! The command line: every job with its help.

use std::ffi::OsString;

use clap::{Args, Parser, Subcommand};

use crate::child::ChildArgs;
use crate::evidence::EvidenceArgs;
use crate::fuzz::FuzzArgs;
use crate::kafka_cli::KafkaArgs;
use crate::kafka_node::KafkaNodeArgs;

/// Developer jobs of the Tripline workspace.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) job: Job,
}

#[derive(Subcommand)]
pub(crate) enum Job {
    /// Find or start real services (Kafka, S3, MinIO) and run a command with their addresses
    ///
    /// A service named by environment variables is used as it is: TRIPLINE_TEST_KAFKA;
    /// TRIPLINE_TEST_S3_ENDPOINT, _ACCESS_KEY, _SECRET_KEY; TRIPLINE_TEST_MINIO_ENDPOINT,
    /// _ACCESS_KEY, _SECRET_KEY. Otherwise Apache Kafka (Maven, JDK 17) and versitygw (Go) are
    /// fetched once into .tools/ and started on free loopback ports, and a `minio` on PATH is used
    /// as the MinIO. Clients for warm instances (Python, Node, Rust) are installed there once, too;
    /// TRIPLINE_TEST_WORKER_PYTHON, _NODE and _RUST name others. What cannot be had is SKIPPED
    /// aloud. All that was started ends with this command, data included.
    Services(ServicesArgs),
    /// Run all tests with real services, then say which services were real and what was skipped
    ///
    /// Arguments after `--` go to `cargo test`; with `-p` among them only those packages are
    /// tested, otherwise the whole workspace. The tests that kill the hub have it built in release
    /// mode. The exit code is that of `cargo test`.
    Test(TestArgs),
    /// Everything that must pass before a change is taken: format, clippy, tidy, deny, tests
    Ci,
    /// Check what the compiler does not: imports between our crates, unused dependencies, file sizes, layout
    Tidy,
    /// Check what we are built from against deny.toml: licences, bans, sources, advisories
    ///
    /// cargo-deny is built once into .tools/. Advisories are looked up where its database can be fetched, and SKIPPED
    /// aloud elsewhere.
    Deny,
    /// Measure the hub against the least possible: accept, growth, kafka, cron, limiter, idle, spawn,
    /// worker, start, logs, memory; and beside others: peers
    ///
    /// Each runs interleaved with its baseline, at least five times. `--json FILE` appends one
    /// object a benchmark. A goal that is missed is said, and is no failure.
    Bench(BenchArgs),
    /// Live through simulated histories of the hub: crashes at every effect, a disk that loses what was not synced
    ///
    /// `--seeds N` histories from seed `--from S`; the first that goes wrong is printed with all that happened, and
    /// its seed belongs into tests/simulation/regressions.txt. `--trace SEED` prints one.
    Simulate(SimulateArgs),
    /// Prove that hubs that are broken on purpose are caught, by the simulation or by a test of the crate that is broken
    ///
    /// Names of mutants, or all; `--quick` takes those that few histories are enough for. One that survives is an error.
    Mutants(SimulateArgs),
    /// Kill the real hub again and again under load, then ask its clients and functions what became of it
    ///
    /// `--cycles N` strikes from seed `--seed S`, or `--every-step`: at each system call of a small piece of work.
    /// `--json FILE` appends the figures.
    Crash(CrashArgs),
    /// Break the hub in every way there is, and write down in tests/EVIDENCE.md what became of it
    ///
    /// Takes the better part of an hour. A proof that fails is an error, and the page stays as it is.
    Evidence(EvidenceArgs),
    /// Look for bytes that our readers cannot bear, guided by what code they reach
    ///
    /// An input that goes wrong is written to the target's corpus in tests/fuzz, which every run of the tests reads.
    Fuzz(FuzzArgs),
    /// Try the hub: start Kafka, an S3 store and the hub with the four-triggers example
    Up(UpArgs),
    /// Produce a record or make a topic, with Kafka's own tools
    Kafka(KafkaArgs),
    /// A private Kafka broker in a folder, for tests that stop, kill and restart it
    KafkaNode(KafkaNodeArgs),
    /// Become another program, tied to the life of this job
    #[command(hide = true)]
    Child(ChildArgs),
}

#[derive(Args)]
pub(crate) struct ServicesArgs {
    /// Print the variables as `export` lines even when a command is given
    #[arg(long)]
    pub(crate) print_env: bool,
    /// The command to run; without one the variables are printed and the services stay until Ctrl-C
    #[arg(last = true)]
    pub(crate) command: Vec<OsString>,
}

#[derive(Args)]
pub(crate) struct TestArgs {
    /// Arguments for `cargo test`
    #[arg(last = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Names, `--pairs N`, `--json FILE`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Args)]
pub(crate) struct SimulateArgs {
    /// What the simulation takes; `-- --help` shows it
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Args)]
pub(crate) struct CrashArgs {
    /// `--cycles N`, `--seed S`, `--every-step`, `--stride N`, `--json FILE`
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    pub(crate) args: Vec<String>,
}

#[derive(Args)]
pub(crate) struct UpArgs {
    /// Configuration of the hub
    #[arg(default_value = "examples/four-triggers/tripline.toml")]
    pub(crate) config: String,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
