//! The committed description is the one that is served, and it is right about routes, refusals and states.

use std::path::Path;

use http::StatusCode;
use serde_json::Value;
use tripline_model::InvocationState;

use super::hub::{TestHub, request};
use crate::openapi;

const ID: &str = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";

fn api() -> Value {
    serde_json::from_str(openapi()).expect("JSON")
}

#[test]
fn the_committed_description_is_this_one() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("openapi.json");
    if std::env::var_os("TRIPLINE_WRITE_OPENAPI").is_some() {
        std::fs::write(&file, openapi()).expect("the file can be written");
    }
    let committed = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        committed == openapi(),
        "the API has changed; write its description anew and look at what changed for clients:\n  \
         TRIPLINE_WRITE_OPENAPI=1 cargo test -p tripline-api openapi && git diff {}",
        file.display()
    );
}

#[tokio::test]
async fn what_it_names_is_there() {
    let hub = TestHub::start().await;
    let api = api();
    let paths = api["paths"].as_object().expect("paths");
    for (path, methods) in paths {
        let path = path.replace("{name}", "door").replace("{id}", ID);
        for method in methods.as_object().expect("methods").keys() {
            let asked = request(&method.to_uppercase(), &path, "");
            let answer = hub.send(asked, true).await;
            let text = answer.text();
            assert_ne!(answer.status, StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert!(
                !text.contains("urn:tripline:unknown_route"),
                "{path}: {text}"
            );
        }
    }
}

#[tokio::test]
async fn it_is_served_to_those_with_a_token() {
    let hub = TestHub::start().await;
    let answer = hub.ask("GET", "/openapi.json").await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::OK, openapi().to_owned())
    );
    let stranger = hub.send(request("GET", "/openapi.json", ""), false).await;
    let problem = stranger.problem(401, "unauthorized");
    let api = api();
    let known = &api["components"]["schemas"]["ProblemView"]["properties"];
    for name in problem.as_object().expect("an object").keys() {
        assert!(known.get(name).is_some(), "the description lacks {name}");
    }
}

#[test]
fn every_operation_has_a_name_of_its_own() {
    let api = api();
    let paths = api["paths"].as_object().expect("paths").values();
    let operations = paths.flat_map(|path| path.as_object().expect("methods").values());
    let names = operations.map(|one| one["operationId"].as_str().expect("a name"));
    let names: Vec<_> = names.collect();
    let different: std::collections::BTreeSet<_> = names.iter().collect();
    assert_eq!(different.len(), names.len(), "{names:?}");
}

#[test]
fn it_knows_every_state() {
    let states: Vec<_> = InvocationState::ALL
        .iter()
        .map(|state| state.as_str())
        .collect();
    assert_eq!(
        api()["components"]["schemas"]["State"]["enum"],
        serde_json::json!(states)
    );
}
