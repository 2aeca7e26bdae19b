use super::*;
use crate::{Trigger, TriggerContext, TriggerError};
use tripline_config::Document;
use tripline_listener::Route;

struct PingKind;

struct Ping {
    path: String,
}

impl TriggerKind for PingKind {
    const NAME: &'static str = "ping";
    type Trigger = Ping;

    fn build(&self, _name: &TriggerName, table: &mut Table<'_>) -> Option<Ping> {
        let path = table.required("path");
        table.finish();
        Some(Ping { path: path? })
    }
}

impl Trigger for Ping {
    fn routes(&self) -> Vec<Route> {
        vec![format!("GET {}", self.path).parse().unwrap()]
    }

    async fn run(&self, cx: TriggerContext) -> Result<(), TriggerError> {
        cx.shutdown().cancelled().await;
        Ok(())
    }
}

fn build(kind: &str, text: &str) -> Result<Box<dyn AnyTrigger>, String> {
    let registry = Registry::new().with(PingKind);
    let name = TriggerName::new("mine").unwrap();
    let document = Document::new("tripline.toml", text);
    let built = document.read(|table| registry.build(kind, &name, table));
    built.map_err(|errors| errors.to_string())
}

#[test]
fn a_known_kind_builds_a_trigger_without_a_type() {
    let trigger = build("ping", "path = '/ping'\n").unwrap();
    assert_eq!(trigger.routes()[0].to_string(), "GET /ping");
    assert!(trigger.secrets().is_empty());
}

#[test]
fn a_wrong_table_and_an_unknown_kind_build_nothing() {
    let errors = build("ping", "pth = '/ping'\n").err().unwrap();
    assert!(errors.contains("did you mean `path`"), "{errors}");
    assert!(build("pong", "").is_err());
    assert_eq!(Registry::new().with(PingKind).names(), ["ping"]);
}

#[test]
#[should_panic(expected = "two kinds are named `ping`")]
fn two_kinds_of_one_name_are_a_mistake() {
    let _ = Registry::new().with(PingKind).with(PingKind);
}
