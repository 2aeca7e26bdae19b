//! `tripline doctor`: what is wrong with this machine and with what a configuration reaches, and how to mend it.
//!
//! Every check has a deadline, and all run side by side. Nothing is changed: no event is taken in, no function is run.

mod functions;
mod known;
mod machine;
mod outside;
mod programs;

use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tripline_config::is_hazardous;
use tripline_executor::level;

use crate::check::load;
use crate::cli::Exit;
use crate::config::Config;
use crate::plain;

/// The longest time for one check.
const PATIENCE: Duration = Duration::from_secs(10);

/// Printed where there is no configuration: what is good then is not the hub.
const NOTHING_ELSE: &str =
    "no configuration: ./tripline.toml is not there; only the machine was looked at";

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Good,
    /// It works, and may not for long, or not well.
    Doubtful,
    Bad,
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    /// What was looked at.
    name: String,
    verdict: Verdict,
    /// What was found. Never a secret.
    what: String,
    /// How to mend it; empty where nothing has to be.
    mend: String,
}

/// Looks, and says it. Fails where something is bad, or a function that requires isolation would not run.
pub(crate) fn doctor(
    file: Option<&Path>,
    as_json: bool,
    out: &mut impl Write,
    errors: &mut impl Write,
) -> Exit {
    let config = match file.map(load).transpose() {
        Ok(config) => config,
        Err(failure) => return failure.print(as_json, out, errors),
    };
    let level = level();
    let verdicts = config
        .as_ref()
        .map_or_else(Vec::new, |config| functions::verdicts(config, &level));
    let Ok(findings) = findings(config) else {
        return Exit::Failed;
    };
    let written = if as_json {
        let mut all = functions::to_json(&level, &verdicts);
        all["configuration"] = json!(file);
        all["checks"] = findings.iter().map(Finding::to_json).collect();
        writeln!(out, "{all}")
    } else {
        functions::print(&level, &verdicts, out)
            .and_then(|()| print(&findings, out))
            .and_then(|()| match file {
                Some(_) => Ok(()),
                None => writeln!(out, "{NOTHING_ELSE}"),
            })
    };
    let is_bad = findings.iter().any(|one| one.verdict == Verdict::Bad)
        || verdicts.iter().any(functions::Verdict::is_refused);
    let exit = if is_bad { Exit::Failed } else { Exit::Done };
    exit.after_output(written)
}

fn findings(config: Option<Config>) -> io::Result<Vec<Finding>> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let found = runtime.block_on(async {
        let mut checks = Checks::default();
        checks.add("clock", machine::clock());
        if let Some(config) = config {
            let config = Arc::new(config);
            let data_dir = plain(&config.folder.join(&config.hub.data_dir));
            machine::checks(&config, &data_dir, &mut checks);
            programs::checks(&config, &mut checks);
            known::checks(&config, &data_dir, &mut checks);
            outside::checks(&config, &mut checks);
        }
        checks.all().await
    });
    // A check that overran its time may hold a thread: it is not waited for.
    runtime.shutdown_background();
    Ok(found)
}

/// Checks at work.
#[derive(Default)]
struct Checks {
    running: JoinSet<(usize, Finding)>,
    count: usize,
}

// === impl Checks ===

impl Checks {
    /// Begins a check.
    fn add(
        &mut self,
        name: impl Into<String>,
        check: impl Future<Output = Finding> + Send + 'static,
    ) {
        let (place, name) = (self.count, name.into());
        self.count += 1;
        self.running.spawn(async move {
            let late = format!("no answer within {PATIENCE:?}");
            let late = Finding::bad(late, "see whether what it needs answers at all");
            let found = tokio::time::timeout(PATIENCE, check).await.unwrap_or(late);
            (place, Finding { name, ..found })
        });
    }

    /// The same for one that holds a thread.
    fn add_blocking(&mut self, name: &str, check: impl FnOnce() -> Finding + Send + 'static) {
        self.add(name, async {
            let done = tokio::task::spawn_blocking(check).await;
            done.unwrap_or_else(|error| Finding::bad(error.to_string(), "report this as a bug"))
        });
    }

    /// What they found, in the order in which they were begun.
    async fn all(self) -> Vec<Finding> {
        let mut found = self.running.join_all().await;
        found.sort_by_key(|(place, _)| *place);
        found.into_iter().map(|(_, finding)| finding).collect()
    }
}

// === impl Finding ===

impl Finding {
    fn good(what: impl Into<String>) -> Self {
        Self::new(Verdict::Good, what, "")
    }

    fn doubtful(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Verdict::Doubtful, what, mend)
    }

    fn bad(what: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::new(Verdict::Bad, what, mend)
    }

    fn new(verdict: Verdict, what: impl Into<String>, mend: impl Into<String>) -> Self {
        // The text of others may hold anything: it stays on its line.
        let plain = |text: String| text.replace(is_hazardous, " ");
        Self {
            name: String::new(),
            verdict,
            what: plain(what.into()),
            mend: plain(mend.into()),
        }
    }

    fn to_json(&self) -> serde_json::Value {
        let verdict = match self.verdict {
            Verdict::Good => "good",
            Verdict::Doubtful => "doubtful",
            Verdict::Bad => "bad",
        };
        let help = (!self.mend.is_empty()).then_some(&self.mend);
        json!({ "check": self.name, "verdict": verdict, "what": self.what, "help": help })
    }
}

fn print(findings: &[Finding], out: &mut impl Write) -> io::Result<()> {
    let width = findings.iter().map(|one| one.name.len()).max().unwrap_or(0);
    for one in findings {
        let mark = match one.verdict {
            Verdict::Good => "ok  ",
            Verdict::Doubtful => "WARN",
            Verdict::Bad => "FAIL",
        };
        writeln!(out, "{mark} {:<width$}  {}", one.name, one.what)?;
        if !one.mend.is_empty() {
            writeln!(out, "     {:width$}  = help: {}", "", one.mend)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(file: Option<&Path>, as_json: bool) -> String {
        let (mut out, mut errors) = (Vec::new(), Vec::new());
        doctor(file, as_json, &mut out, &mut errors);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_helps_is_called_so_in_json_too() {
        let json = Finding::bad("broken", "mend it").to_json();
        assert_eq!(json["help"], "mend it", "{json}");
        assert!(Finding::good("well").to_json()["help"].is_null());
    }

    #[test]
    fn no_configuration_is_not_passed_over() {
        let last = format!("\n{NOTHING_ELSE}\n");
        assert!(printed(None, false).ends_with(&last));
        let json: serde_json::Value = serde_json::from_str(&printed(None, true)).unwrap();
        assert!(json["configuration"].is_null(), "{json}");
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("tripline.toml");
        std::fs::write(&file, "").unwrap();
        assert!(!printed(Some(&file), false).contains("no configuration"));
    }
}
