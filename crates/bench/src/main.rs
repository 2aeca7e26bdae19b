//! How fast Tripline is: each benchmark runs the real binary and, interleaved in the same run, a baseline that does the
//! least possible. What counts is the ratio of the two, which holds on other machines, too.
//!
//! `cargo xtask bench` builds both in release mode and runs this.

mod accept;
mod bare;
mod caller;
mod disk;
mod function;
mod growth;
mod hub;
mod idle;
mod kafka;
mod limiter;
mod lines;
mod memory;
mod pairs;
mod peers;
mod services;
mod spawn;
mod start;
mod time;
mod timers;
mod worker;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};

use pairs::Report;

/// Benchmarks of Tripline against the least possible.
#[derive(Parser)]
#[command(name = "cargo xtask bench", max_term_width = 100)]
struct Args {
    #[command(subcommand)]
    function: Option<function::Function>,
    #[command(flatten)]
    bench: BenchArgs,
}

/// What to measure.
#[derive(clap::Args)]
struct BenchArgs {
    /// Which; all without a name
    names: Vec<Name>,
    /// Pairs of baseline and Tripline, at least five
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(5..))]
    pairs: u32,
    /// Append one JSON object a benchmark to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// The hub's binary; else the one beside this
    #[arg(long)]
    program: Option<PathBuf>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
enum Name {
    Accept,
    Growth,
    Kafka,
    Cron,
    Limiter,
    Idle,
    Spawn,
    Worker,
    Start,
    Logs,
    Memory,
    Peers,
}

/// What can go wrong, in words.
type Outcome<T> = Result<T, Box<dyn std::error::Error + Send + Sync>>;

fn main() -> ExitCode {
    let args = Args::parse();
    let done = match args.function {
        Some(function) => function.run(),
        None => bench(args.bench),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main]
async fn bench(args: BenchArgs) -> Outcome<()> {
    // An error only says that there is one already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let own = std::env::current_exe()?;
    // Absolute: hubs run in folders of their own.
    let program = args
        .program
        .map(std::path::absolute)
        .transpose()?
        .unwrap_or_else(|| own.with_file_name("tripline"));
    let names = if args.names.is_empty() {
        Name::value_variants().to_vec()
    } else {
        args.names
    };
    let flush_us = disk::flush_micros()?;
    println!("the disk: {flush_us:.0} us for 4 KiB and fdatasync (median)");
    for name in names {
        let mut report = match name.run(&program, args.pairs).await {
            Ok(report) => report,
            Err(error) if error.is::<services::Skipped>() => {
                println!("SKIPPED: {name:?}: {error}");
                continue;
            }
            Err(error) => return Err(format!("{name:?}: {error}").into()),
        };
        report.figure("flush_us", flush_us);
        print!("{report}");
        if let Some(path) = &args.json {
            append(path, &report)?;
        }
    }
    Ok(())
}

// === impl Name ===

impl Name {
    async fn run(self, program: &Path, pairs: u32) -> Outcome<Report> {
        match self {
            Self::Accept => accept::run(program, pairs).await,
            Self::Growth => growth::run(program, pairs).await,
            Self::Kafka => kafka::run(program, pairs).await,
            Self::Cron => timers::run(program, pairs).await,
            Self::Limiter => limiter::run(program, pairs).await,
            Self::Idle => idle::run(program, pairs).await,
            Self::Spawn => spawn::run(program, pairs).await,
            Self::Worker => worker::run(program, pairs).await,
            Self::Start => start::run(program, pairs).await,
            Self::Logs => lines::run(program, pairs).await,
            Self::Memory => memory::run(program, pairs).await,
            Self::Peers => peers::run(program, pairs).await,
        }
    }
}

fn append(path: &PathBuf, report: &Report) -> Outcome<()> {
    let mut file = std::fs::File::options()
        .create(true)
        .append(true)
        .open(path)?;
    writeln!(file, "{}", report.to_json())?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Args::command().debug_assert();
    }
}
