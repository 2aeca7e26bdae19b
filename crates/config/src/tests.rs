//! Tests of the reader through its reports: what people read is what is compared, whole.

mod hostile;
mod keys;
mod properties;
mod secrets;
mod strays;
mod syntax;
mod tables;
mod units;
mod values;

use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use crate::{
    ByteSize, Document, FromToml, Rate, Scalar, SecretRef, StringOrSecret, Table, check_name,
    nearest,
};

/// One of everything the reader can read.
#[derive(Debug, Default, PartialEq)]
struct Settings {
    data_dir: PathBuf,
    listen: Option<SocketAddr>,
    qps: Option<Rate>,
    push_share: Option<f64>,
    max_body: Option<ByteSize>,
    drain: Option<Duration>,
    workers: Option<NonZeroU32>,
    port: Option<u16>,
    limit: Option<u64>,
    offset: Option<i64>,
    json: bool,
    tags: Vec<String>,
}

/// Reads `text` with `read` and compares the whole report; `report` is empty if nothing is wrong.
fn check<T>(text: &str, read: impl FnOnce(&mut Table<'_>) -> Option<T>, report: &str) {
    let shown = Document::new("tripline.toml", text)
        .read(read)
        .map_or_else(|errors| errors.to_string(), |_| String::new());
    assert!(
        shown == report,
        "for the file\n{text}\n--- the report is\n{shown}\n--- and should be\n{report}"
    );
}

/// Reads one value, written as TOML.
fn read<T: FromToml>(value: &str) -> Option<T> {
    Document::new("f", format!("value = {value}"))
        .read(|root| root.required("value"))
        .ok()
}

fn settings(root: &mut Table<'_>) -> Option<Settings> {
    root.section("hub", |table| {
        let data_dir = table.or("data_dir", PathBuf::from("./data"));
        let read = Settings {
            data_dir,
            listen: table.optional("listen"),
            qps: table.optional("qps"),
            push_share: table.optional("push_share"),
            max_body: table.optional("max_body"),
            drain: table.optional("drain"),
            workers: table.optional("workers"),
            port: table.optional("port"),
            limit: table.optional("limit"),
            offset: table.optional("offset"),
            json: table.or("json", false),
            tags: table.or("tags", Vec::new()),
        };
        table.finish();
        Some(read)
    })
}

/// Functions and the triggers that name them, as the product reads them.
fn routes(root: &mut Table<'_>) -> Option<usize> {
    let functions = root.sections("functions", |name, table| {
        if let Err(wrong) = check_name(name) {
            table.error("", wrong.message, Some(wrong.help));
        }
        let command: Option<Vec<String>> = table.required("command");
        let execution = table.one_of(
            "execution",
            &[("async", false), ("sync", true)],
            Some(false),
        );
        let timeout: Duration = table.or("timeout", Duration::from_secs(60));
        if timeout > Duration::from_secs(86_400) {
            table.error("timeout", "`timeout` is above the maximum of 24h", None);
        }
        table.finish();
        command?;
        execution?;
        Some(name.to_owned())
    });
    let mut places = Vec::new();
    let triggers = root.sections("triggers", |_name, table| {
        let function: Option<String> = table.required("function");
        let route: Option<String> = table.required("route");
        table.finish();
        let function = function?;
        if !functions.contains(&function) {
            let near = nearest(&function, functions.iter().map(String::as_str));
            table.error(
                "function",
                format!("there is no function `{function}`"),
                near.map(|near| format!("did you mean `{near}`?")),
            );
        }
        places.push((route?, table.location("route")));
        Some(())
    });
    for (at, (route, place)) in places.iter().enumerate() {
        if let Some((_, first)) = places[..at].iter().find(|(known, _)| known == route) {
            root.error_at(
                place,
                format!("the route `{route}` is taken"),
                Some(format!("by `{}` on line {}", first.path, first.line)),
            );
        }
    }
    root.finish();
    Some(triggers.len())
}

fn login(root: &mut Table<'_>) -> Option<(SecretRef, StringOrSecret)> {
    let secret = root.required("secret_key");
    let user = root.or("user", StringOrSecret::Text("admin".to_owned()));
    root.finish();
    Some((secret?, user))
}

fn kafka(root: &mut Table<'_>) -> Option<Vec<(String, Scalar)>> {
    let topics: Option<Vec<String>> = root.required("topics");
    let properties = root.rest();
    for (name, scalar) in properties
        .iter()
        .filter(|(name, _)| name == "group.protocol")
    {
        root.error_at(
            &scalar.location,
            format!("`{name}` is set by the hub"),
            None,
        );
    }
    topics.map(|_| properties)
}
