//! The examples do what the README says.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tripline_tests::Hub;

fn example(name: &str) -> (Hub, String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../examples")
        .join(name);
    let text = fs::read_to_string(folder.join("tripline.toml")).unwrap();
    let hub = Hub::prepare("");
    for entry in fs::read_dir(folder).unwrap() {
        let entry = entry.unwrap();
        if entry.file_type().unwrap().is_file() {
            fs::copy(entry.path(), hub.path(&entry.file_name().to_string_lossy())).unwrap();
        }
    }
    (hub, text)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_quickstart_greets_and_ticks() {
    let (mut hub, text) = example("quickstart");
    let text = text
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:8081", "127.0.0.1:0");
    let text = text.replace("*/10 * * * * *", "* * * * * *");
    hub.write("tripline.toml", &text);
    hub.launch().await;
    let id = hub.post("/hello", "world").await;
    assert_eq!(hub.ended(&id).await["state"], "succeeded");
    assert!(hub.cli(&["logs", &id]).stdout.contains("Hello, world!"));
    assert_eq!(hub.ended_of("clock", 1).await[0]["state"], "succeeded");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_run_outlives_its_hub_and_its_log_has_no_hole() {
    let (mut hub, text) = example("long-run");
    let text = text
        .replace("127.0.0.1:8080", "127.0.0.1:0")
        .replace("127.0.0.1:8081", "127.0.0.1:0");
    hub.write("tripline.toml", &text);
    let script = hub.lines("count.sh").join("\n");
    let shorter = script.replace("-lt 60 ", "-lt 10 ");
    assert_ne!(script, shorter);
    hub.write("count.sh", &shorter);
    hub.launch().await;
    let id = hub.post("/count", "").await;
    hub.line(&id, |text| text == "second 2").await;
    // As the README has it.
    let pid: i32 = hub.lines("data/lock")[0].trim().parse().unwrap();
    kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    assert_eq!(hub.exited().await.signal(), Some(9));
    assert_eq!(hub.instances("count").len(), 1, "an executor has it");
    hub.launch().await;
    assert_eq!(hub.ended(&id).await["state"], "succeeded");
    let log = hub.log(&id).await;
    let lines = log.iter().filter(|line| line["stream"] == "stdout");
    let lines: Vec<_> = lines.filter_map(|line| line["text"].as_str()).collect();
    let all: Vec<_> = (1..=10).map(|second| format!("second {second}")).collect();
    assert_eq!(lines, all);
}

#[test]
fn every_example_is_a_good_configuration() {
    for name in ["quickstart", "four-triggers", "long-run"] {
        let (hub, _) = example(name);
        let output = hub.cli(&["check", "tripline.toml"]);
        assert_eq!(output.code, 0, "{name}: {output:?}");
    }
}
