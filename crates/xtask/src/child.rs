//! The first instructions of every child process: undo what a job changed for itself, tie the
//! child's life to the job's, then become the wanted program. (The usual place for this is code
//! between `fork` and `exec`, which cannot be had without `unsafe`.)

use std::ffi::OsString;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use clap::Args;
use nix::unistd::getppid;

use crate::signals;

/// The hidden `xtask child` command line.
#[derive(Args)]
pub(crate) struct ChildArgs {
    /// Process id of the job; the child dies with it.
    #[arg(long)]
    parent: i32,
    /// The program and its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

/// Replaces this process; returns only when that fails.
pub(crate) fn become_program(args: &ChildArgs) -> ExitCode {
    // Survives `exec`: even a job that is killed with SIGKILL takes its services along.
    #[cfg(target_os = "linux")]
    if let Err(error) = nix::sys::prctl::set_pdeathsig(nix::sys::signal::Signal::SIGKILL) {
        eprintln!("xtask: cannot tie a child to its parent: {error}");
    }
    if getppid().as_raw() != args.parent {
        // The job died before the line above could take effect.
        return ExitCode::FAILURE;
    }
    if let Err(error) = signals::asking().thread_unblock() {
        eprintln!("xtask: cannot unblock signals: {error}");
    }
    let [program, rest @ ..] = args.command.as_slice() else {
        return ExitCode::FAILURE;
    };
    let error = Command::new(program).args(rest).exec();
    eprintln!("xtask: cannot run {}: {error}", program.display());
    ExitCode::from(127)
}
