//! The examples do what the README says.

use std::fs;
use std::path::Path;

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

#[test]
fn every_example_is_a_good_configuration() {
    for name in ["quickstart", "four-triggers"] {
        let (hub, _) = example(name);
        let said = hub.cli(&["check", "tripline.toml"]);
        assert_eq!(said.code, 0, "{name}: {said:?}");
    }
}
