//! Credentials of the function's role.
//!
//! They allow what the policy allows, are refused outside it and once they have expired, and are renewed by a real
//! service while a function runs, in a warm instance too. A function never gets the hub's own key, nor credentials
//! that live longer than was requested.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_sdk_s3::Client;
use serde_json::Value;
use tripline_tests::{
    HastySts, Hub, ScriptedSts, ShortSts, Sts, allow, eventually, processes_with, s3_client,
    skipped,
};

/// What one hub knows and nobody else may.
const SECRET: &str = "the-long-lived-secret-of-the-hub";

/// Shows the file with the credentials, in one line.
const SHOW: &str =
    r#"command = ["sh", "-c", 'tr -d "\n" < "$TRIPLINE_CREDENTIALS_FILE"; echo; env']"#;

fn config(command: &str, sts: &str, more: &str) -> String {
    format!(
        "[functions.robot]\n{command}\ntimeout = \"5m\"\n[functions.robot.role]\nsts = \"{sts}\"\n\
         access_key = {{ env = \"ROLE_KEY\" }}\nsecret_key = {{ env = \"ROLE_SECRET\" }}\n{more}\n"
    )
}

async fn start(config: &str, key: &str, secret: &str) -> Hub {
    let mut hub = Hub::prepare(config);
    hub.launch_with(&[("ROLE_KEY", key), ("ROLE_SECRET", secret)])
        .await;
    hub
}

/// Shows the file whenever there is something new in it.
const WATCH: &str = r#"command = ["sh", "-c", '''
while true; do
  keys=$(tr -d "\n" < "$TRIPLINE_CREDENTIALS_FILE")
  if [ "$keys" != "$last" ]; then echo "$keys"; last=$keys; fi
  sleep 0.2
done''']"#;

/// The credentials of this text, if it is the file with them.
fn credentials_in(text: &str) -> Option<[String; 3]> {
    let keys: Value = serde_json::from_str(text).ok()?;
    let key = |name: &str| keys[name].as_str().expect("it is text").to_owned();
    Some(["AccessKeyId", "SecretAccessKey", "SessionToken"].map(key))
}

/// Runs the function that shows its credentials, and gives a client that has them.
async fn client_of_the_function(sts: &Sts, more: &str, store: &str) -> Client {
    let hub = start(
        &config(SHOW, &sts.endpoint, more),
        &sts.access_key,
        &sts.secret_key,
    )
    .await;
    let id = hub.invoke("robot", "").await;
    let ended = hub.ended(&id).await;
    assert_eq!(ended["state"], "succeeded", "{ended}");
    let log = hub.log(&id).await;
    let mut texts = log.iter().filter_map(|line| line["text"].as_str());
    let keys = texts.find_map(credentials_in);
    let [access, secret, token] = keys.unwrap_or_else(|| panic!("no credentials in {log:#?}"));
    for (name, value) in [
        ("AWS_ACCESS_KEY_ID", &access),
        ("TENCENTCLOUD_SECRETID", &access),
    ] {
        let variable = format!("{name}={value}");
        assert!(
            log.iter().any(|line| line["text"] == *variable),
            "{variable}: {log:#?}"
        );
    }
    assert!(
        !log.iter()
            .any(|line| line.to_string().contains(&sts.secret_key))
    );
    s3_client(store, &access, &secret, Some(&token))
}

async fn two_buckets(store: &Client, open: &str, closed: &str) {
    for bucket in [open, closed] {
        store.create_bucket().bucket(bucket).send().await.unwrap();
        let put = store.put_object().bucket(bucket).key("an object");
        put.body(b"inside".to_vec().into()).send().await.unwrap();
    }
}

async fn only_reads_from(client: &Client, open: &str, closed: &str) {
    let read = client
        .get_object()
        .bucket(open)
        .key("an object")
        .send()
        .await;
    let body = read
        .expect("the policy allows it")
        .body
        .collect()
        .await
        .unwrap();
    assert_eq!(&*body.into_bytes(), b"inside");
    let read = client
        .get_object()
        .bucket(closed)
        .key("an object")
        .send()
        .await;
    let error = read
        .expect_err("the policy does not name this bucket")
        .into_service_error();
    assert_eq!(error.meta().code(), Some("AccessDenied"), "{error:?}");
    let put = client
        .put_object()
        .bucket(open)
        .key("new")
        .body(b"x".to_vec().into());
    let error = put
        .send()
        .await
        .expect_err("the policy does not name this action");
    assert_eq!(
        error.into_service_error().meta().code(),
        Some("AccessDenied")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_a_role_allow_what_the_role_may() {
    let names = ["open", "closed"].map(|name| format!("role-{name}-{}", std::process::id()));
    let [open, closed] = names.each_ref().map(String::as_str);
    let policy = allow("s3:GetObject", &format!("arn:aws:s3:::{open}/*"));
    let Some(sts) = Sts::moto("credentials of a role in IAM", &policy).await else {
        return;
    };
    two_buckets(&sts.store(), open, closed).await;
    sts.enforce().await;
    let arn = sts.arn.as_deref().unwrap();
    let arn = format!("arn = \"{arn}\"");
    let client = client_of_the_function(&sts, &arn, &sts.endpoint).await;
    only_reads_from(&client, open, closed).await;
    renewed_credentials_may_the_same(&sts, &arn, open, closed).await;
}

/// A function that runs for longer than its credentials are valid sees others of the real service, as good as the first.
async fn renewed_credentials_may_the_same(sts: &Sts, more: &str, open: &str, closed: &str) {
    let hasty = HastySts::before(&sts.endpoint, Duration::from_secs(8)).await;
    let config = config(WATCH, &hasty.endpoint, more);
    let hub = start(&config, &sts.access_key, &sts.secret_key).await;
    let id = hub.invoke("robot", "").await;
    let seen = eventually("three credentials are seen", async || {
        let log = hub.log(&id).await;
        let texts = log.iter().filter_map(|line| line["text"].as_str());
        let seen: Vec<_> = texts.filter_map(credentials_in).collect();
        (seen.len() >= 3).then_some(seen)
    })
    .await;
    let different: BTreeSet<_> = seen.iter().map(|[access, ..]| access).collect();
    assert_eq!(different.len(), seen.len(), "credentials came twice");
    for [access, secret, token] in &seen {
        let client = s3_client(&sts.endpoint, access, secret, Some(token));
        only_reads_from(&client, open, closed).await;
    }
    assert_eq!(hub.executors().len(), 1);
    let now = hub.get(&format!("/v1/invocations/{id}")).await;
    assert_eq!(now["state"], "running", "{now}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_live_longer_than_was_asked_for_start_no_function() {
    let sts = ScriptedSts::start(Duration::from_secs(7 * 3600)).await;
    let config = config(SHOW, &sts.endpoint, "duration = \"6h\"");
    let hub = start(&config, "HUBKEY", SECRET).await;
    let ended = hub.ended(&hub.invoke("robot", "").await).await;
    let found = (&ended["state"], &ended["reason"], &ended["ran"]);
    let expected = (&"failed".into(), &"start_failed".into(), &"no".into());
    assert_eq!(found, expected, "{ended}");
    let answer = format!(
        "{ended}{:?}",
        hub.log(ended["request_id"].as_str().unwrap()).await
    );
    assert!(answer.contains("instead of the 360 min"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_of_a_role_allow_what_the_configured_policy_does() {
    let Some(sts) = Sts::minio("credentials within a policy of the configuration") else {
        return;
    };
    let names = ["open", "closed"].map(|name| format!("role-{name}-{}", std::process::id()));
    let [open, closed] = names.each_ref().map(String::as_str);
    two_buckets(&sts.store(), open, closed).await;
    let policy = allow("s3:GetObject", &format!("arn:aws:s3:::{open}/*"));
    let client = client_of_the_function(&sts, &format!("policy = '{policy}'"), &sts.endpoint).await;
    only_reads_from(&client, open, closed).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_are_refused_once_they_have_expired() {
    let Some(short) = ShortSts::start("credentials that expire", Duration::from_secs(20)).await
    else {
        return;
    };
    two_buckets(&short.store, "open", "closed").await;
    let sts = Sts {
        endpoint: short.endpoint.clone(),
        access_key: "HUBKEY".to_owned(),
        secret_key: "not-used-here".to_owned(),
        arn: None,
    };
    let client = client_of_the_function(&sts, "", &short.store_endpoint).await;
    let read = || client.get_object().bucket("open").key("an object").send();
    read().await.expect("they are valid");
    let error = eventually("the credentials expire", async || read().await.err()).await;
    // So MinIO calls credentials that have expired.
    let error = error.into_service_error();
    assert_eq!(error.meta().code(), Some("InvalidAccessKeyId"), "{error:?}");
}

/// Shows its environment once, and each key that it finds in the file.
const LOOP: &str = r#"command = ["sh", "-c", '''
env
while true; do
  key=$(tr -d "\n" < "$TRIPLINE_CREDENTIALS_FILE" | grep -o "KEY[0-9]*")
  if [ "$key" != "$last" ]; then echo "key=$key"; last=$key; fi
  sleep 0.2
done''']"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_running_function_gets_new_credentials_and_never_the_hubs_own() {
    let sts = ScriptedSts::start(Duration::from_secs(8)).await;
    let hub = start(&config(LOOP, &sts.endpoint, ""), "HUBKEY", SECRET).await;
    let id = hub.invoke("robot", "").await;
    for number in [1, 2, 3] {
        hub.line(&id, |text| text == format!("key=KEY{number}"))
            .await;
    }
    let executors = hub.executors();
    assert_eq!(executors.len(), 1, "{executors:?}");
    let hub_pid = i32::try_from(hub.pid()).unwrap();
    assert_eq!(
        processes_with(SECRET),
        [hub_pid],
        "the executor is {executors:?}"
    );
    let log = hub.log(&id).await;
    assert!(
        log.iter()
            .any(|line| line["text"] == "AWS_ACCESS_KEY_ID=KEY1"),
        "{log:#?}"
    );
    for (what, text) in [
        ("its log", format!("{log:?}")),
        ("the hub's log", hub.lines("hub.log").join("\n")),
    ] {
        for hidden in [SECRET, "HUBKEY"] {
            assert!(!text.contains(hidden), "{what} has {hidden}");
        }
    }
    let log = hub.lines("hub.log").join("\n");
    assert!(
        !log.contains("secret 1") && !log.contains("token 1"),
        "the hub's log has a key"
    );
}

/// Shows, for each event, credentials that are the same at the endpoint and in the file, as many different ones as the event says.
const WORKER: &str = r#"runtime = "worker"
min_instances = 1
concurrency = 1
event_format = "raw"
command = ["sh", "-c", '''
api="http://$SCF_RUNTIME_API:$SCF_RUNTIME_API_PORT/runtime/invocation"
while count=$(curl --silent --fail "$api/next"); do
  last=
  until [ "$count" = 0 ]; do
    at=$(curl --silent --header "Authorization: $AWS_CONTAINER_AUTHORIZATION_TOKEN" \
      "$AWS_CONTAINER_CREDENTIALS_FULL_URI" | grep -o "KEY[0-9]*")
    in_file=$(grep -o "KEY[0-9]*" "$TRIPLINE_CREDENTIALS_FILE")
    if [ -n "$at" ] && [ "$at" = "$in_file" ] && [ "$at" != "$last" ]; then
      echo "key=$at variable=${TENCENTCLOUD_SECRETID:-none}"
      last=$at
      count=$((count - 1))
    else
      sleep 0.2
    fi
  done
  curl --silent --data "$$" "$api/response"
done''']"#;

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_instance_gets_the_credentials_of_its_runs_and_new_ones() {
    let curl = std::process::Command::new("curl").arg("--version").output();
    if curl.is_err() {
        return skipped("credentials of a worker", "there is no curl");
    }
    let sts = ScriptedSts::start(Duration::from_secs(8)).await;
    let hub = start(&config(WORKER, &sts.endpoint, ""), "HUBKEY", "a-secret").await;
    let instance = eventually("an instance before any run", async || {
        hub.instances("robot").first().copied()
    })
    .await;
    assert_eq!(sts.given(), 0, "nobody needs credentials so far");
    let first = hub.invoke("robot", "2").await;
    for number in [1, 2] {
        let line = format!("key=KEY{number} variable=none");
        hub.line(&first, |text| text == line).await;
    }
    let second = hub.invoke("robot", "1").await;
    for id in [first, second] {
        let ended = hub.ended(&id).await;
        assert_eq!(ended["state"], "succeeded", "{ended}");
        let result = hub.request(&format!("/v1/invocations/{id}/result"));
        let result = result.send().await.expect("the hub answers");
        let pid = result.text().await.expect("it is text");
        assert_eq!(pid, instance.to_string(), "it is the instance of before");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_credentials_a_function_is_not_started() {
    let sts = ScriptedSts::start(Duration::ZERO).await;
    let hub = start(&config(SHOW, &sts.endpoint, ""), "HUBKEY", "another-secret").await;
    let id = hub.invoke("robot", "").await;
    let ended = hub.ended(&id).await;
    assert_eq!(
        (&ended["state"], &ended["ran"]),
        (&"failed".into(), &"no".into()),
        "{ended}"
    );
    let texts = format!("{ended}{:?}", hub.log(&id).await);
    assert!(texts.contains("have expired already"), "{texts}");
    assert!(
        !texts.contains("another-secret") && !texts.contains("secret 1"),
        "{texts}"
    );
    assert!(sts.given() > 0);
}
