//! Completion scripts and manual pages know every command; bash completes one.

use std::fs;
use std::process::Command;

use tripline_tests::{Hub, skipped};

/// The commands that `--help` shows.
fn commands(hub: &Hub) -> Vec<String> {
    let help = hub.cli(&["--help"]).stdout;
    let list = help.split("Commands:").nth(1).expect("there are commands");
    let names = list.lines().skip(1).map_while(|line| {
        let name = line.strip_prefix("  ")?;
        Some(name.split(' ').next().unwrap_or_default().to_owned())
    });
    let real = |name: &String| !name.is_empty() && name != "help";
    names.filter(real).collect()
}

#[test]
fn every_command_has_a_manual_page() {
    let hub = Hub::prepare("");
    let output = hub.cli(&["man", "pages/man1"]);
    assert_eq!((output.code, output.stdout.as_str()), (0, ""), "{output:?}");
    let commands = commands(&hub);
    assert!(commands.len() > 9, "{commands:?}");
    for name in &commands {
        let page = fs::read_to_string(hub.path(&format!("pages/man1/tripline-{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}: {page}");
    }
    let logs = fs::read_to_string(hub.path("pages/man1/tripline-logs.1")).unwrap();
    assert!(logs.contains(r"\-\-follow"), "{logs}");
    let examples = ".SH EXAMPLES\n.nf\nExamples:\n  tripline logs \\-f \\-\\-timestamps";
    assert!(logs.contains(examples), "{logs}");
    assert!(hub.path("pages/man1/tripline.1").exists());
    assert!(!hub.path("pages/man1/tripline-executor.1").exists());

    let output = hub.cli(&["man", "tripline.toml/man1"]);
    assert_eq!(output.code, 1, "{output:?}");
    assert!(output.stderr.contains("tripline.toml/man1"), "{output:?}");
}

#[test]
fn every_shell_completes_every_command() {
    let hub = Hub::prepare("");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = hub.cli(&["completions", shell]);
        assert_eq!(output.code, 0, "{shell}: {output:?}");
        for name in commands(&hub) {
            assert!(
                output.stdout.contains(&name),
                "{shell} does not know {name}"
            );
        }
    }
}

/// What bash does at the second tab of `tripline lo`.
const COMPLETE: &str = r#"
source ./tripline.bash
COMP_WORDS=(tripline lo)
COMP_CWORD=1
_tripline tripline lo tripline
printf '%s\n' "${COMPREPLY[@]}"
"#;

#[test]
fn bash_completes_a_command_and_other_shells_can_read_their_scripts() {
    let hub = Hub::prepare("");
    for shell in ["bash", "zsh", "fish"] {
        let script = format!("tripline.{shell}");
        hub.write(&script, &hub.cli(&["completions", shell]).stdout);
        let mut command = Command::new(shell);
        command.current_dir(hub.path(""));
        match shell {
            "bash" => command.args(["-c", COMPLETE]),
            _ => command.args(["-n", &script]),
        };
        let done = match command.output() {
            Ok(done) => done,
            Err(error) => {
                skipped("completion scripts", &format!("{shell}: {error}"));
                continue;
            }
        };
        assert!(done.status.success(), "{shell}: {done:?}");
        if shell == "bash" {
            assert_eq!(String::from_utf8_lossy(&done.stdout), "logs\n", "{done:?}");
        }
    }
}
