//! Names that would be paths: wherever a name, an id or a key is taken, nothing but what it names is found, and nothing
//! outside the data directory is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tripline_tests::{Hub, Mirror};

use super::{address, answers, request};

/// Each as it is written into a path or a query, and as a person or a program would give it.
const HOSTILE: [&str; 26] = [
    "..",
    ".",
    "../..",
    "../secrets",
    "..%2f..%2fsecrets",
    "%2e%2e%2fsecrets",
    "%2e%2e",
    "..%5c..%5csecrets",
    "%252e%252e%252f",
    "....//secrets",
    "..;/secrets",
    "/etc/passwd",
    "%2fetc%2fpasswd",
    "file:%2f%2f%2fetc%2fpasswd",
    "secrets%00",
    "%00",
    "%0a",
    "%1b%5b2J",
    "~root",
    "$HOME",
    "`id`",
    "$(id)",
    "*",
    "work%20",
    "WORK",
    "w%c0%afork",
];

/// A store that only tells, by POSTs. Its keys are the names of files.
const CONFIG: &str = r#"
[functions.work]
command = ["sh", "-c", "cat > \"$TRIPLINE_SCRATCH/$CE_SUBJECT\" 2>/dev/null; exit 0"]
[triggers.door]
kind = "http"
function = "work"
route = "POST /door/{name}"
auth = "none"
[triggers.store]
kind = "s3"
function = "work"
endpoint = "MIRROR"
bucket = "b"
access_key = { file = "secrets/key" }
secret_key = { file = "secrets/key" }
mode = "webhook"
route = "POST /s3"
auth = "none"
"#;

async fn hub() -> (Hub, Mirror) {
    let mirror = Mirror::start().await;
    let mut hub = Hub::prepare(&CONFIG.replace("MIRROR", &mirror.url));
    fs::create_dir(hub.path("secrets")).unwrap();
    hub.write_secret("secrets/key", "the-key-of-the-store");
    hub.launch().await;
    super::texts::mounted(&hub).await;
    (hub, mirror)
}

/// Every file beside the data directory, with what is in it.
fn around(hub: &Hub) -> BTreeMap<String, Vec<u8>> {
    fn look(folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap().flatten() {
            let (path, name) = (entry.path(), entry.file_name());
            if name == "data" || name == "hub.log" {
                continue;
            }
            found.insert(
                path.display().to_string(),
                fs::read(&path).unwrap_or_default(),
            );
            if path.is_dir() {
                look(&path, found);
            }
        }
    }
    let mut found = BTreeMap::new();
    look(&hub.path(""), &mut found);
    found
}

/// Whether something of a file that nobody asked for is shown.
fn shows_a_file(text: &str) -> bool {
    text.contains("the-key-of-the-store") || text.contains("root:x:0")
}

#[tokio::test(flavor = "multi_thread")]
async fn no_parameter_of_the_api_is_a_path() {
    let (hub, _mirror) = hub().await;
    let before = around(&hub);
    let admin = address(&hub.admin(""));
    let bearer = [("authorization", format!("Bearer {}", hub.token()))];
    let api = hub.get("/openapi.json").await;
    let (mut requests, mut count) = (Vec::new(), 0);
    for (path, operations) in api["paths"].as_object().unwrap() {
        for (method, operation) in operations.as_object().unwrap() {
            let method = method.to_uppercase();
            for name in HOSTILE {
                if path.contains('{') {
                    let target = path.replace("{name}", name).replace("{id}", name);
                    requests.push(request(&admin, &method, &target, &bearer));
                    count += 1;
                }
                let parameters = operation["parameters"].as_array().into_iter().flatten();
                for parameter in
                    parameters.filter(|one| one["in"] == "query" || one["in"] == "header")
                {
                    let wanted = parameter["name"].as_str().unwrap();
                    let id = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";
                    let target = path.replace("{name}", "nobody").replace("{id}", id);
                    if parameter["in"] == "query" {
                        requests.push(request(
                            &admin,
                            &method,
                            &format!("{target}?{wanted}={name}"),
                            &bearer,
                        ));
                    } else {
                        let with = [bearer[0].clone(), (wanted, name.to_owned())];
                        requests.push(request(&admin, &method, &target, &with));
                    }
                }
            }
        }
    }
    assert!(count > 200 && requests.len() > count);
    for (asked, answer) in requests.iter().zip(answers(&admin, &requests).await) {
        let answer = answer.unwrap_or_else(|| panic!("no answer to {asked}"));
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(
            (400..500).contains(&answer.status),
            "{asked}: {} {text}",
            answer.status
        );
        assert!(!shows_a_file(&text), "{asked}: {text}");
    }
    assert_eq!(around(&hub), before);
    assert_eq!(hub.invocations("").await.len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_argument_of_the_cli_is_a_path() {
    let (hub, _mirror) = hub().await;
    let before = around(&hub);
    for name in HOSTILE {
        for args in [
            vec!["show", name],
            vec!["show", name, "--result"],
            vec!["logs", name],
            vec!["logs", "-f", name],
            vec!["terminate", name],
            vec!["invoke", name, "x"],
            vec!["ps", "--function", name],
            vec!["ps", "--trigger", name],
            vec!["triggers", "pause", name],
            vec!["triggers", "resume", name],
        ] {
            let output = hub.cli(&args);
            assert_ne!(output.code, 0, "{args:?}: {output:?}");
            assert!(!shows_a_file(&(output.stdout + &output.stderr)), "{args:?}");
        }
    }
    assert_eq!(around(&hub), before);
    assert_eq!(hub.invocations("").await.len(), 0);
    let states = hub.get("/v1/triggers").await.to_string();
    assert!(!states.contains("paused"), "{states}");
}

#[test]
fn no_name_in_the_configuration_is_a_path() {
    for name in HOSTILE {
        let quoted = serde_json::to_string(name).unwrap();
        for text in [
            format!("[functions.{quoted}]\ncommand = [\"true\"]\n"),
            format!(
                "[functions.f]\ncommand = [\"true\"]\n[triggers.{quoted}]\nkind = \"cron\"\nfunction = \"f\"\nschedule = \"@daily\"\n"
            ),
        ] {
            let hub = Hub::prepare(&text);
            let before = around(&hub);
            let output = hub.refuses();
            assert_eq!(output.code, 2, "{name}: {output:?}");
            assert_eq!(around(&hub), before, "{name}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_come_with_events_stay_text() {
    let (hub, _mirror) = hub().await;
    let before = around(&hub);
    let mut sent = 0;
    for name in HOSTILE {
        let call = hub.client().post(hub.gateway("/s3"));
        let key = serde_json::to_string(name).unwrap();
        let record = format!(
            r#"{{"Records":[{{"eventVersion":"2.0","eventSource":"minio:s3","awsRegion":"","eventTime":"2026-11-25T19:00:00.000Z",
            "eventName":"s3:ObjectCreated:Put","userIdentity":{{"principalId":"x"}},"s3":{{"s3SchemaVersion":"1.0","configurationId":"Config",
            "bucket":{{"name":"b","arn":"arn:aws:s3:::b"}},"object":{{"key":{key},"size":1,"eTag":"{sent}","sequencer":"18{sent:02}"}}}}}}]}}"#
        );
        let answer = call.body(record).send().await.unwrap();
        assert_eq!(answer.status().as_u16(), 200, "{name}");
        let header = name.replace('%', "%25");
        for (target, headers) in [
            (
                format!("/door/{}", name.replace(['/', '\\', ';', '`'], "%2f")),
                vec![],
            ),
            (
                "/door/x".to_owned(),
                vec![("idempotency-key", name.to_owned())],
            ),
            (
                "/door/x".to_owned(),
                vec![
                    ("ce-specversion", "1.0".to_owned()),
                    ("ce-id", header.clone()),
                    ("ce-type", header.clone()),
                    ("ce-source", "/s".to_owned()),
                    ("ce-subject", name.to_owned()),
                ],
            ),
        ] {
            let gateway = address(&hub.gateway(""));
            let asked = [request(&gateway, "POST", &target, &headers)];
            let answer = answers(&gateway, &asked)
                .await
                .remove(0)
                .expect("an answer");
            assert!(
                matches!(answer.status, 202 | 400 | 404 | 422),
                "{asked:?}: {answer:?}"
            );
            sent += usize::from(answer.status == 202);
        }
    }
    assert!(sent > HOSTILE.len());
    hub.ended_of("door", sent).await;
    hub.ended_of("store", 1).await;
    assert_eq!(around(&hub), before);
    assert!(!hub.lines("hub.log").concat().contains("panicked"));
}
