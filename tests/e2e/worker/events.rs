//! What events look like to the function.

use serde_json::{Value, json};
use tripline_tests::Hub;

use super::client::{Client, answer, python};

const FORMATS: [&str; 3] = ["aws", "scf", "cloudevents"];

/// A function for each format, with a trigger of its name.
fn config(client: &Client, trigger: impl Fn(&str) -> String) -> String {
    let one = |format: &&str| {
        let function = client.function(format, &format!("event_format = \"{format}\""), &[]);
        format!(
            "{function}[triggers.{format}]\nfunction = \"{format}\"\n{}\n",
            trigger(format)
        )
    };
    FORMATS.iter().map(one).collect()
}

/// The event as the function saw it.
async fn seen(hub: &Hub, ended: &Value) -> Value {
    answer(hub, ended).await["event"].clone()
}

pub(super) async fn of_an_http_trigger(client: &Client) {
    let http = |format: &str| {
        format!("kind = \"http\"\nroute = \"POST /{format}/{{item}}\"\nauth = \"none\"")
    };
    let hub = client.hub(&config(client, http)).await;
    let post = async |format: &str| {
        let request = hub
            .client()
            .post(hub.gateway(&format!("/{format}/7?a=1&a=2")));
        let request = request.header("content-type", "application/json");
        let posted = request.body(r#"{"order":7}"#).send().await.unwrap();
        let receipt: Value = posted.json().await.unwrap();
        let ended = hub.ended(receipt["request_id"].as_str().unwrap()).await;
        (seen(&hub, &ended).await, ended)
    };

    let (aws, ended) = post("aws").await;
    let http = &aws["requestContext"]["http"];
    assert_eq!(
        (&aws["version"], &http["method"]),
        (&json!("2.0"), &json!("POST")),
        "{aws}"
    );
    assert_eq!(aws["rawPath"], "/aws/7", "{aws}");
    assert_eq!(aws["queryStringParameters"], json!({ "a": "1,2" }), "{aws}");
    assert_eq!(aws["pathParameters"], json!({ "item": "7" }), "{aws}");
    assert_eq!(aws["requestContext"]["requestId"], ended["request_id"]);
    assert_eq!(aws["headers"]["content-type"], "application/json", "{aws}");
    assert_eq!(aws["body"], r#"{"order":7}"#, "{aws}");

    let (scf, ended) = post("scf").await;
    assert_eq!(
        (&scf["httpMethod"], &scf["path"]),
        (&json!("POST"), &json!("/scf/7")),
        "{scf}"
    );
    assert_eq!(scf["queryString"], json!({ "a": ["1", "2"] }), "{scf}");
    assert_eq!(scf["pathParameters"], json!({ "item": "7" }), "{scf}");
    assert_eq!(scf["requestContext"]["requestId"], ended["request_id"]);
    assert_eq!(scf["body"], r#"{"order":7}"#, "{scf}");

    let (event, ended) = post("cloudevents").await;
    assert_eq!(
        (&event["specversion"], &event["id"]),
        (&json!("1.0"), &ended["event"]["id"])
    );
    assert_eq!(event["type"], "tripline.http.request.v1", "{event}");
    assert_eq!(event["data"], json!({ "order": 7 }), "{event}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tick_has_the_shape_that_was_asked_for() {
    let Some(client) = python() else { return };
    let cron =
        |_: &str| "kind = \"cron\"\nschedule = \"* * * * * *\"\npayload = \"wake up\"".to_owned();
    let hub = client.hub(&config(&client, cron)).await;
    for format in FORMATS {
        let ended = hub.ended_of(format, 1).await.remove(0);
        let event = seen(&hub, &ended).await;
        let time = ended["event"]["time"].as_str().unwrap();
        let in_seconds = time.replace(".000Z", "Z");
        match format {
            "aws" => {
                assert_eq!(event["detail-type"], "Scheduled Event", "{event}");
                assert_eq!(event["detail"], json!({ "payload": "wake up" }), "{event}");
                assert_eq!(event["time"], in_seconds, "{event}");
            }
            "scf" => {
                let expected = json!({
                    "Type": "Timer", "TriggerName": "scf", "Time": in_seconds, "Message": "wake up",
                });
                assert_eq!(event, expected);
            }
            _ => {
                assert_eq!(event["type"], "tripline.cron.tick.v1", "{event}");
                assert_eq!(event["id"], format!("cloudevents@{time}"), "{event}");
            }
        }
    }
}
