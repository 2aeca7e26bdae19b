//! Certificates, logins and rights that do not hold, or no longer.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;
use tripline_tests::{Hub, KafkaNode, eventually_within, free_port};

use super::{PATIENCE, produce, producer, topic};

const TOPIC: &str = "e2e-credentials";

/// A trigger, with what its login needs.
fn trigger(name: &str, bootstrap: &str, login: &str) -> String {
    format!(
        "[triggers.{name}]\nkind = \"kafka\"\nfunction = \"work\"\n\"bootstrap.servers\" = \"{bootstrap}\"\n\
         \"group.id\" = \"{TOPIC}-{name}\"\ntopics = [\"{TOPIC}\"]\n\"auto.offset.reset\" = \"earliest\"\n{login}\n"
    )
}

/// Waits until a trigger is in that state, and says all of these words about it.
async fn is(hub: &Hub, trigger: &str, state: &str, words: &[&str]) {
    let what = format!("{trigger} is {state}, with {words:?}");
    let mut last = Value::Null;
    let path = format!("/v1/triggers/{trigger}");
    eventually_within(PATIENCE, &what, async || {
        last = hub.get(&path).await;
        let error = last["error"].as_str().unwrap_or_default().to_lowercase();
        let all = words.iter().all(|word| error.contains(word));
        (last["state"] == state && all).then_some(())
    })
    .await;
}

fn run(program: &str, args: &[&str]) {
    let done = Command::new(program).args(args).output();
    let done = done.unwrap_or_else(|error| panic!("{program}: {error}"));
    assert!(done.status.success(), "{program} {args:?}: {done:?}");
}

/// A key that signed itself, `NAME.p12`, and its certificate, `NAME.pem`.
fn certificate(folder: &Path, name: &str) {
    let path = |end: &str| folder.join(format!("{name}.{end}")).display().to_string();
    let store = [
        "-alias",
        "node",
        "-storepass",
        "of-a-test",
        "-storetype",
        "PKCS12",
        "-keystore",
        &path("p12"),
    ];
    let key = [
        "-keyalg",
        "RSA",
        "-validity",
        "3",
        "-dname",
        "CN=node",
        "-ext",
        "san=ip:127.0.0.1",
    ];
    run("keytool", &[&["-genkeypair"], &store[..], &key].concat());
    run(
        "keytool",
        &[&["-exportcert", "-rfc", "-file", &path("pem")], &store[..]].concat(),
    );
}

/// Gives the node a listener behind TLS, with that key, and says where it is.
fn behind_tls(node: &KafkaNode, key: &Path) -> String {
    let address = format!("127.0.0.1:{}", free_port());
    let with = |setting: &str, more: &str| format!("{},{more}", node.setting(setting));
    let listener = format!("SSL://{address}");
    node.reconfigure(&[
        ("listeners", &with("listeners", &listener)),
        (
            "advertised.listeners",
            &with("advertised.listeners", &listener),
        ),
        (
            "listener.security.protocol.map",
            &with("listener.security.protocol.map", "SSL:SSL"),
        ),
        ("ssl.keystore.type", "PKCS12"),
        ("ssl.keystore.location", &key.display().to_string()),
        ("ssl.keystore.password", "of-a-test"),
    ]);
    address
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_of_an_unknown_authority_is_told() {
    let Some(node) = KafkaNode::start("a broker behind TLS") else {
        return;
    };
    let folder = TempDir::new().unwrap();
    certificate(folder.path(), "node");
    certificate(folder.path(), "other");
    let address = behind_tls(&node, &folder.path().join("node.p12"));
    topic(&node.bootstrap, TOPIC, 1, 1).await;
    produce(&producer(&node.bootstrap), TOPIC, 0..3).await;
    let trusting = |name: &str, authority: &str| {
        let file = folder.path().join(authority);
        let login = format!(
            "\"security.protocol\" = \"ssl\"\n\"ssl.ca.location\" = \"{}\"",
            file.display()
        );
        trigger(name, &address, &login)
    };
    let triggers = trusting("right", "node.pem") + &trusting("wrong", "other.pem");
    let hub = Hub::start(&format!(
        "[functions.work]\ncommand = [\"true\"]\n{triggers}"
    ))
    .await;
    is(&hub, "wrong", "troubled", &["certificate"]).await;
    assert_eq!(hub.ended_of("right", 3).await.len(), 3);
    is(&hub, "right", "running", &[]).await;
    let output = hub.cli(&["doctor", "tripline.toml", "--json"]);
    assert!(
        output
            .stdout
            .to_lowercase()
            .contains("certificate verify failed"),
        "{output:?}"
    );
}

/// Runs one of Kafka's own tools.
fn tool(node: &KafkaNode, class: &str, args: &[&str]) {
    let home = std::env::var("TRIPLINE_TEST_KAFKA_HOME").expect("comes with the brokers");
    let jars = format!("{home}/lib/*");
    let java = ["-cp", &jars, class, "--bootstrap-server", &node.bootstrap];
    run("java", &[&java, args].concat());
}

fn set_password(node: &KafkaNode, password: &str) {
    let config = format!("SCRAM-SHA-256=[password={password}]");
    let user = ["--entity-type", "users", "--entity-name", "bob"];
    tool(
        node,
        "kafka.admin.ConfigCommand",
        &[&["--alter", "--add-config", &config], &user[..]].concat(),
    );
}

/// `--add` or `--remove`: the right of `bob` to read that.
fn right(node: &KafkaNode, change: &str, what: [&str; 2]) {
    let mut args = vec![
        change,
        "--allow-principal",
        "User:bob",
        "--operation",
        "Read",
    ];
    args.extend(what);
    if change == "--remove" {
        args.push("--force");
    }
    tool(node, "org.apache.kafka.tools.AclCommand", &args);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_and_a_right_that_are_taken_away_are_told_and_come_back() {
    let Some(node) = KafkaNode::start("a login that is taken away") else {
        return;
    };
    node.reconfigure(&[
        (
            "listener.name.sasl_plaintext.sasl.enabled.mechanisms",
            "PLAIN,SCRAM-SHA-256",
        ),
        (
            "listener.name.sasl_plaintext.scram-sha-256.sasl.jaas.config",
            "org.apache.kafka.common.security.scram.ScramLoginModule required;",
        ),
        // Who is logged in has to log in again soon.
        ("connections.max.reauth.ms", "3000"),
        (
            "authorizer.class.name",
            "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        ),
        ("super.users", "User:ANONYMOUS"),
    ]);
    topic(&node.bootstrap, TOPIC, 1, 1).await;
    set_password(&node, "of-bob");
    right(&node, "--add", ["--topic", TOPIC]);
    right(&node, "--add", ["--group", "*"]);
    let address = node.setting("listeners");
    let address = address
        .split(',')
        .find_map(|one| one.strip_prefix("SASL_PLAINTEXT://"))
        .unwrap();
    let login = "\"security.protocol\" = \"sasl_plaintext\"\n\"sasl.mechanism\" = \"SCRAM-SHA-256\"\n\
                 \"sasl.username\" = \"bob\"\n\"sasl.password\" = { file = \"password\" }";
    let text = trigger("bob", address, login);
    let mut hub = Hub::prepare(&format!("[functions.work]\ncommand = [\"true\"]\n{text}"));
    hub.write_secret("password", "of-bob");
    hub.launch().await;
    let producer = producer(&node.bootstrap);
    produce(&producer, TOPIC, 0..3).await;
    hub.ended_of("bob", 3).await;

    set_password(&node, "another-one");
    is(&hub, "bob", "troubled", &["authentication failed"]).await;
    produce(&producer, TOPIC, 3..6).await;
    set_password(&node, "of-bob");
    hub.ended_of("bob", 6).await;
    is(&hub, "bob", "running", &[]).await;

    right(&node, "--remove", ["--topic", TOPIC]);
    is(&hub, "bob", "troubled", &[TOPIC, "authorization failed"]).await;
    produce(&producer, TOPIC, 6..9).await;
    right(&node, "--add", ["--topic", TOPIC]);
    assert_eq!(hub.ended_of("bob", 9).await.len(), 9);
    is(&hub, "bob", "running", &[]).await;
}
