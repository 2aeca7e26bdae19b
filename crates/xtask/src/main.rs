//! Developer jobs of the workspace, run as `cargo xtask JOB`. Nothing here is part of the hub, and
//! nothing here uses our other crates: it must build and help when they do not compile.

mod bench;
mod child;
mod ci;
mod cli;
mod crash;
mod deny;
mod evidence;
mod failure;
mod fuzz;
mod kafka_cli;
mod kafka_node;
mod mutants;
mod peers;
mod ports;
mod process;
mod random;
mod release;
mod repo;
mod services;
mod signals;
mod simulate;
mod sweep;
mod test;
mod tidy;
mod time;
mod up;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Job};
use crate::failure::{Failure, Outcome};

fn main() -> ExitCode {
    match Cli::parse().job {
        Job::Child(child) => child::become_program(&child),
        // Short jobs that tests and people call beside a running `services`: they own no children.
        Job::KafkaNode(node) => exit_code(kafka_node::run(&node)),
        job => {
            // Made first, so dropped last: after every job has ended its own children.
            let _leftovers = sweep::Leftovers::adopt();
            exit_code(signals::listen().and_then(|()| run(job)))
        }
    }
}

fn run(job: Job) -> Outcome<u8> {
    match job {
        Job::Services(services) => services::run(&services),
        Job::Test(test) => test::run(&test.args),
        Job::Ci => ci::run(),
        Job::Tidy => tidy::run(),
        Job::Deny => deny::run(&mut Vec::new()),
        Job::Bench(bench) => bench::run(&bench.args),
        Job::Simulate(simulation) => simulate::run("simulate", &simulation.args),
        Job::Mutants(simulation) => mutants::run(&simulation.args),
        Job::Crash(crash) => crash::run(&crash.args),
        Job::Evidence(evidence) => evidence::run(&evidence),
        Job::Fuzz(fuzz) => fuzz::run(&fuzz),
        Job::Up(up) => up::run(&up),
        Job::Kafka(kafka) => kafka_cli::run(&kafka),
        Job::Child(_) | Job::KafkaNode(_) => unreachable!("handled in main"),
    }
}

fn exit_code(outcome: Outcome<u8>) -> ExitCode {
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(failure) => {
            eprintln!("xtask: {failure}");
            match failure {
                Failure::Interrupted(signal) => {
                    ExitCode::from(128 + u8::try_from(signal as i32).unwrap_or(0))
                }
                Failure::Message(_) => ExitCode::FAILURE,
            }
        }
    }
}
