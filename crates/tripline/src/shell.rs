//! What a shell and `man` know of the command line, made out of the command line itself.

use std::io::{self, Write};
use std::path::Path;

use clap::CommandFactory;

use crate::args::Args;
use crate::cli::Exit;

/// Prints a completion script.
pub(crate) fn completions(shell: clap_complete::Shell, out: &mut impl Write) -> Exit {
    // Into memory first: the generator panics when its reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "tripline", &mut script);
    match out.write_all(&script) {
        Ok(()) => Exit::Done,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
        Err(_cannot_be_written) => Exit::Failed,
    }
}

/// Writes a manual page for the program and for each command that people type.
pub(crate) fn man(dir: &Path, errors: &mut impl Write) -> Exit {
    let written =
        std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Args::command(), dir));
    match written {
        Ok(()) => Exit::Done,
        Err(error) => {
            // If stderr is closed there is nobody to tell; the exit code still says it.
            let _ = writeln!(errors, "error: {}: {error}", dir.display());
            Exit::Failed
        }
    }
}
