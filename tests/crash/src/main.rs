//! Kills the hub again and again: `cargo xtask crash` calls it, with the services that there are.

use std::fs::File;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use serde_json::Value;
use tripline_crash::{Plan, campaign, steps};

/// Kill the hub under load from all four triggers, then ask clients and functions what became of it.
#[derive(Parser)]
#[command(name = "cargo xtask crash", max_term_width = 100)]
struct Cli {
    /// How many strikes
    #[arg(long, default_value_t = 100)]
    cycles: u64,
    /// Which strikes, in which order and when
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cut the power instead, on a file system of its own; takes root
    #[arg(long)]
    power: bool,
    /// Kill at every step of a small piece of work instead, counted by strace
    #[arg(long, conflicts_with_all = ["cycles", "seed", "power"])]
    every_step: bool,
    /// With --every-step: only every N-th step
    #[arg(long, value_name = "N", default_value_t = 1, requires = "every_step")]
    stride: usize,
    /// Append the figures as a JSON object to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    let (text, json, is_good) = if cli.every_step {
        let tell = |kind: &str, step: usize| progress(&format!("{kind}: step {step}"));
        let Some(done) = steps(cli.stride.max(1), &tell).await else {
            return ExitCode::FAILURE;
        };
        let is_good = done.wrong.is_empty() && done.missed().is_empty();
        (done.table(), done.json(), is_good)
    } else {
        let plan = Plan {
            cycles: cli.cycles,
            seed: cli.seed,
            power: cli.power,
        };
        let tell = |cycle, strike: &str| progress(&format!("{cycle} of {}: {strike}", plan.cycles));
        let Some(done) = campaign(plan, &tell).await else {
            return ExitCode::FAILURE;
        };
        let is_good = done.wrong.is_empty() && done.missed().is_empty();
        (done.table(), done.json(), is_good)
    };
    print!("\r\x1b[K{text}");
    if let Some(file) = cli.json
        && let Err(error) = append(&file, &json)
    {
        eprintln!("{} cannot be written: {error}", file.display());
        return ExitCode::FAILURE;
    }
    if is_good {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn progress(what: &str) {
    print!("\r\x1b[K{what}");
    // Progress that cannot be shown is no failure.
    let _ = std::io::stdout().flush();
}

fn append(file: &PathBuf, json: &Value) -> std::io::Result<()> {
    let mut file = File::options().create(true).append(true).open(file)?;
    writeln!(file, "{json}")
}
