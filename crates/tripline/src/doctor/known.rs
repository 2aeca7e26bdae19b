//! What the next start would change for the functions that the journal knows. It works beside a running hub, too,
//! for a look at a changed configuration before the restart.

use std::path::Path;
use std::sync::Arc;

use tripline_journal::{KnownFunction, OpenError, known_functions};

use super::{Checks, Finding};
use crate::config::Config;
use crate::serve::ExecutionLocked;

/// What it means for a configuration that the journal knows these.
type Judge = fn(&Config, &[KnownFunction]) -> Finding;

/// Begins the checks.
pub(super) fn checks(config: &Arc<Config>, data_dir: &Path, checks: &mut Checks) {
    let all: [(_, Judge); 2] = [("execution", execution), ("removed functions", removed)];
    for (name, judge) in all {
        let (config, dir) = (Arc::clone(config), data_dir.to_owned());
        checks.add_blocking(name, move || match known_functions(&dir) {
            Ok(known) => judge(&config, &known),
            Err(error) => not_known(&error),
        });
    }
}

fn not_known(error: &OpenError) -> Finding {
    Finding::doubtful(
        format!("the journal cannot be asked: {error}"),
        "see `data directory`",
    )
}

/// Whether each function still is what it was created as.
fn execution(config: &Config, known: &[KnownFunction]) -> Finding {
    let changed = config.functions.iter().filter_map(|one| {
        let (name, wanted) = (one.function.name.as_str(), one.function.execution);
        let known = known.iter().find(|known| known.name == name)?;
        let locked = known.execution.filter(|locked| *locked != wanted)?;
        Some(ExecutionLocked {
            function: name.to_owned(),
            locked: locked.as_str(),
            wanted: wanted.as_str(),
        })
    });
    let changed: Vec<_> = changed.map(|one| one.to_string()).collect();
    if changed.is_empty() {
        return Finding::good("no function was created with another one");
    }
    Finding::bad(changed.join("; "), ExecutionLocked::HELP)
}

/// What ends because its function is gone.
fn removed(config: &Config, known: &[KnownFunction]) -> Finding {
    let is_there = |name: &str| {
        let mut functions = config.functions.iter();
        functions.any(|one| one.function.name.as_str() == name)
    };
    let gone = known.iter().filter(|one| !is_there(&one.name));
    let open: Vec<_> = gone.filter_map(what_ends).collect();
    if open.is_empty() {
        return Finding::good("nothing of theirs waits or runs");
    }
    Finding::doubtful(
        open.join("; "),
        "at the next start; to keep it, leave the function in the configuration until it is done",
    )
}

/// `a: 1 waiting will be cancelled, 1 running is ended`.
fn what_ends(one: &KnownFunction) -> Option<String> {
    let waiting = (one.waiting > 0).then(|| format!("{} waiting will be cancelled", one.waiting));
    let verb = if one.running == 1 { "is" } else { "are" };
    let running = (one.running > 0).then(|| format!("{} running {verb} ended", one.running));
    let all: Vec<_> = waiting.into_iter().chain(running).collect();
    (!all.is_empty()).then(|| format!("{}: {}", one.name, all.join(", ")))
}

#[cfg(test)]
mod tests {
    use tripline_model::Execution;

    use super::super::Verdict;
    use super::*;
    use crate::kinds::kinds;

    const TEXT: &str = "[functions.a]\ncommand = ['true']\n[functions.b]\ncommand = ['true']\n";

    fn config() -> Config {
        Config::read(Path::new("tripline.toml"), TEXT, &kinds())
            .unwrap_or_else(|errors| panic!("{errors}"))
    }

    fn known(name: &str, execution: Option<Execution>, open: (u64, u64)) -> KnownFunction {
        KnownFunction {
            name: name.to_owned(),
            execution,
            waiting: open.0,
            running: open.1,
        }
    }

    #[test]
    fn a_changed_execution_is_told_in_the_words_of_serve() {
        let kept = [known("a", Some(Execution::Async), (3, 4))];
        assert_eq!(execution(&config(), &kept).verdict, Verdict::Good);
        let changed = [
            known("a", Some(Execution::Async), (0, 0)),
            known("b", Some(Execution::Sync), (0, 0)),
        ];
        let found = execution(&config(), &changed);
        assert_eq!(found.verdict, Verdict::Bad);
        assert_eq!(
            found.what,
            "function `b` was created with execution = \"sync\", which cannot be changed to \"async\""
        );
        assert_eq!(found.mend, ExecutionLocked::HELP);
    }

    #[test]
    fn what_a_removed_function_leaves_open_is_told() {
        let quiet = [
            known("a", Some(Execution::Async), (3, 4)),
            known("gone", Some(Execution::Async), (0, 0)),
        ];
        assert_eq!(removed(&config(), &quiet).verdict, Verdict::Good);
        let open = [
            known("c", Some(Execution::Async), (1, 1)),
            known("d", None, (0, 2)),
            known("e", Some(Execution::Sync), (7, 0)),
        ];
        let found = removed(&config(), &open);
        assert_eq!(found.verdict, Verdict::Doubtful);
        assert_eq!(
            found.what,
            "c: 1 waiting will be cancelled, 1 running is ended; d: 2 running are ended; \
             e: 7 waiting will be cancelled"
        );
    }
}
