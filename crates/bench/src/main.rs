//! How fast Tripline is: each benchmark runs the real binary and, interleaved in the same run, a baseline that does the
//! least possible. What counts is the ratio of the two, which holds on other machines, too.
//!
//! `cargo xtask bench` builds both in release mode and runs this.

mod bare;
mod function;
mod hub;
mod lines;
mod memory;
mod pairs;
mod post;
mod spawn;
mod start;
mod time;
mod worker;

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;

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
    /// Which; all without a name: spawn, worker, start, logs, memory
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

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Name {
    Spawn,
    Worker,
    Start,
    Logs,
    Memory,
}

const ALL: [Name; 5] = [
    Name::Spawn,
    Name::Worker,
    Name::Start,
    Name::Logs,
    Name::Memory,
];

/// What can go wrong, in words.
type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

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
    let program = args
        .program
        .unwrap_or_else(|| own.with_file_name("tripline"));
    let names = if args.names.is_empty() {
        ALL.to_vec()
    } else {
        args.names
    };
    for name in names {
        let report = match name {
            Name::Spawn => spawn::run(&program, args.pairs).await?,
            Name::Worker => worker::run(&program, args.pairs).await?,
            Name::Start => start::run(&program, args.pairs).await?,
            Name::Logs => lines::run(&program, args.pairs).await?,
            Name::Memory => memory::run(&program, args.pairs).await?,
        };
        print!("{report}");
        if let Some(path) = &args.json {
            append(path, &report)?;
        }
    }
    Ok(())
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
