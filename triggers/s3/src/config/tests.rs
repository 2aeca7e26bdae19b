use tripline_config::Document;

use super::*;

const GIVEN: &str = "endpoint = 'http://127.0.0.1:9000'\nbucket = 'uploads'\n\
                     access_key = { env = 'A' }\nsecret_key = { env = 'S' }\n";

fn read(more: &str) -> Result<Config, String> {
    let text = format!("{GIVEN}{more}");
    let read = Document::new("t.toml", text).read(Config::read);
    read.map_err(|errors| errors.to_string())
}

#[test]
fn defaults() {
    let config = read("mode = 'listen'\n").unwrap();
    assert!(matches!(config.mode, Mode::Listen { heartbeat } if heartbeat.as_secs() == 2));
    assert_eq!(config.region, "us-east-1");
    assert_eq!(
        (config.interval.as_secs(), config.settle.as_secs()),
        (900, 10)
    );
    assert!(!config.fire_existing);
    assert!(config.events.wants("ObjectCreated:Put"));
    assert_eq!(config.host(), "127.0.0.1:9000");
    let poll = read("mode = 'poll'\n").unwrap();
    assert_eq!((poll.interval.as_secs(), poll.settle.as_secs()), (10, 0));
}

#[test]
fn a_webhook_needs_a_route_and_a_word_about_who_may_send() {
    let config = read("mode = 'webhook'\nroute = 'POST /s3'\nauth = { bearer = { env = 'T' } }\n");
    assert!(matches!(
        config.unwrap().mode,
        Mode::Webhook {
            bearer: Some(_),
            ..
        }
    ));
    let config = read("mode = 'webhook'\nroute = 'POST /s3'\nauth = 'none'\n");
    assert!(matches!(
        config.unwrap().mode,
        Mode::Webhook { bearer: None, .. }
    ));
    let error = read("mode = 'webhook'\n").unwrap_err();
    assert!(
        error.contains("missing key `route`") && error.contains("missing key `auth`"),
        "{error}"
    );
    let error = read("mode = 'webhook'\nroute = 'GET /s3'\nauth = 'none'\n").unwrap_err();
    assert!(error.contains("with POST"), "{error}");
}

#[test]
fn all_errors_at_once() {
    let error = read(
        "mode = 'listn'\nevents = ['s3:ObjectCreate:*']\nexisting = 'some'\n\
         dialect = 'gcs'\nheartbeats = '1s'\n",
    )
    .unwrap_err();
    for part in ["listn", "ObjectCreate", "some", "gcs"] {
        assert!(error.contains(part), "{part} is not in {error}");
    }
}

#[test]
fn keys_of_another_mode_say_whose_they_are() {
    for (mode, key) in [
        ("mode = 'poll'\n", "reconcile_interval = '1m'\n"),
        ("mode = 'listen'\n", "interval = '1m'\n"),
        ("mode = 'listen'\n", "route = 'POST /s3'\n"),
        ("mode = 'poll'\n", "heartbeat = '1s'\n"),
    ] {
        let error = read(&format!("{mode}{key}")).unwrap_err();
        assert!(error.contains("means nothing in this mode"), "{error}");
    }
}

#[test]
fn what_no_listing_shows_is_not_polled_for() {
    let removals = "events = ['s3:ObjectRemoved:*']\n";
    let error = read(&format!("mode = 'poll'\n{removals}")).unwrap_err();
    assert!(error.contains("nothing would ever fire"), "{error}");
    read(&format!("mode = 'listen'\n{removals}")).unwrap();
}

#[test]
fn what_cannot_work_is_refused() {
    for (key, wrong) in [
        ("endpoint", "'ftp://host'"),
        ("endpoint", "'http://user:pass@host'"),
        ("endpoint", "'http://host/path'"),
        ("endpoint", "'http://169.254.169.254'"),
        ("endpoint", "'http://0xa9fea9fe:9000'"),
        ("endpoint", "'http://[fd00:ec2::254]:80'"),
        ("bucket", "'a/b'"),
        ("bucket", "'..'"),
        ("bucket", "''"),
    ] {
        let lines = GIVEN.lines().filter(|line| !line.starts_with(key));
        let given: Vec<&str> = lines.collect();
        let text = format!("{}\nmode = 'poll'\n{key} = {wrong}\n", given.join("\n"));
        let read = Document::new("t.toml", text).read(Config::read);
        let error = read.map(|_| ()).unwrap_err().to_string();
        assert!(
            [
                "cannot be",
                "is not",
                "keeps its metadata",
                "keep their metadata"
            ]
            .iter()
            .any(|words| error.contains(words)),
            "{key}: {error}"
        );
    }
    for wrong in [
        "heartbeat = '1500ms'\n",
        "heartbeat = '0s'\n",
        "settle = '48h'\n",
    ] {
        assert!(
            read(&format!("mode = 'listen'\n{wrong}")).is_err(),
            "{wrong}"
        );
    }
}
