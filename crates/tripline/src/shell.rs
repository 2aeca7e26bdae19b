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
    Exit::Done.after_output(out.write_all(&script))
}

/// Writes a manual page for the program and for each command that people type.
pub(crate) fn man(dir: &Path, errors: &mut impl Write) -> Exit {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    match std::fs::create_dir_all(dir).and_then(|()| write_pages(&command, dir)) {
        Ok(()) => Exit::Done,
        Err(error) => {
            // If stderr is closed too, only the exit code reports it.
            let _ = writeln!(errors, "error: {}: {error}", dir.display());
            Exit::Failed
        }
    }
}

/// The pages of a command and of those below it.
fn write_pages(command: &clap::Command, dir: &Path) -> io::Result<()> {
    for below in command.get_subcommands() {
        if !below.is_hide_set() {
            write_pages(below, dir)?;
        }
    }
    let man = clap_mangen::Man::new(command.clone());
    let mut page = Vec::new();
    man.render(&mut page)?;
    let page = with_examples_as_written(&String::from_utf8_lossy(&page));
    std::fs::write(dir.join(man.get_filename()), page)
}

/// What stands at the end of a command's help, which `man` would fill like prose: commands would be broken apart.
fn with_examples_as_written(page: &str) -> String {
    let mut out = String::with_capacity(page.len() + 64);
    let mut is_inside = false;
    for line in page.lines() {
        if line.starts_with(".SH ") && std::mem::take(&mut is_inside) {
            out.push_str(".fi\n");
        }
        if line == ".SH EXTRA" {
            is_inside = true;
            out.push_str(".SH EXAMPLES\n.nf\n");
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    if is_inside {
        out.push_str(".fi\n");
    }
    out
}
