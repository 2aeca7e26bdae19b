//! What events look like to the function.

use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use tripline_tests::{Hub, kafka, s3_store};

use super::client::{Client, answer, python};

const FORMATS: [&str; 3] = ["aws", "scf", "cloudevents"];

/// The same with the data alone, which the client takes only if it is JSON.
const ALL_FORMATS: [&str; 4] = ["aws", "scf", "cloudevents", "raw"];

/// A function for each format, with a trigger of its name.
fn config(client: &Client, formats: &[&str], trigger: impl Fn(&str) -> String) -> String {
    let one = |format: &&str| {
        let function = client.function(format, &format!("event_format = \"{format}\""), &[]);
        format!(
            "{function}[triggers.{format}]\nfunction = \"{format}\"\n{}\n",
            trigger(format)
        )
    };
    formats.iter().map(one).collect()
}

/// The event as the function saw it.
async fn seen(hub: &Hub, ended: &Value) -> Value {
    answer(hub, ended).await["event"].clone()
}

pub(super) async fn of_an_http_trigger(client: &Client) {
    let http = |format: &str| {
        format!("kind = \"http\"\nroute = \"POST /{format}/{{item}}\"\nauth = \"none\"")
    };
    let hub = client.hub(&config(client, &FORMATS, http)).await;
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
    let hub = client.hub(&config(&client, &FORMATS, cron)).await;
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

/// The one invocation of each format's trigger: its record, and the event as the function saw it.
async fn one_of_each(hub: &Hub) -> [(Value, Value); 4] {
    let mut all = Vec::new();
    for format in ALL_FORMATS {
        let ended = hub.ended_of(format, 1).await.remove(0);
        let event = seen(hub, &ended).await;
        all.push((ended, event));
    }
    all.try_into().expect("there are four formats")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_has_the_shape_that_was_asked_for() {
    let Some(client) = python() else { return };
    let Some(store) = s3_store("shapes of objects") else {
        return;
    };
    let (bucket, key) = ("e2e-shapes-1250000000", "in/a b+ü.txt");
    store.create(bucket).await;
    store.put(bucket, key, "hello").await;
    let s3 = |_: &str| {
        format!(
            "kind = \"s3\"\nendpoint = \"{}\"\nbucket = \"{bucket}\"\nmode = \"poll\"\n\
             access_key = {{ env = \"S3_ACCESS_KEY\" }}\nsecret_key = {{ env = \"S3_SECRET_KEY\" }}\n\
             interval = \"200ms\"\nsettle = \"0s\"\nexisting = \"fire\"",
            store.endpoint
        )
    };
    let config = config(&client, &ALL_FORMATS, s3);
    let hub = client.hub_with(&config, &store.env()).await;
    let [(ended, aws), (scf_ended, scf), (_, cloud), (_, raw)] = one_of_each(&hub).await;
    let etag = "5d41402abc4b2a76b9719d911017c592";
    let time = ended["event"]["time"].clone();

    let record = &aws["Records"][0];
    for (name, value) in [
        ("eventVersion", json!("2.1")),
        ("eventSource", json!("aws:s3")),
        ("eventName", json!("ObjectCreated:Put")),
        ("eventTime", time.clone()),
    ] {
        assert_eq!(record[name], value, "{name}: {aws}");
    }
    let s3 = &record["s3"];
    assert_eq!(s3["configurationId"], "aws", "{aws}");
    assert_eq!(s3["bucket"]["name"], bucket, "{aws}");
    assert_eq!(
        s3["bucket"]["arn"],
        format!("arn:aws:s3:::{bucket}"),
        "{aws}"
    );
    let object = (
        &s3["object"]["key"],
        &s3["object"]["size"],
        &s3["object"]["eTag"],
    );
    let expected = (&json!("in/a+b%2B%C3%BC.txt"), &json!(5), &json!(etag));
    assert_eq!(object, expected, "{aws}");

    let record = &scf["Records"][0];
    let expected = json!({ "region": "", "name": "e2e-shapes", "appid": "1250000000" });
    assert_eq!(record["cos"]["cosBucket"], expected, "{scf}");
    let object = &record["cos"]["cosObject"];
    let found = (&object["key"], &object["size"]);
    let expected = (&json!(format!("/1250000000/e2e-shapes/{key}")), &json!(5));
    assert_eq!(found, expected, "{scf}");
    let url = format!("{}/{bucket}/in/a%20b%2B%C3%BC.txt", store.endpoint);
    assert_eq!(object["url"], url, "{scf}");
    assert_eq!(
        record["event"]["eventName"], "cos:ObjectCreated:Put",
        "{scf}"
    );
    assert_eq!(record["event"]["eventSource"], "qcs::cos", "{scf}");
    assert!(record["event"]["eventTime"].is_u64(), "{scf}");
    let queue = "qcs:0:scf::appid/1250000000:default.scf.$DEFAULT";
    assert_eq!(record["event"]["eventQueue"], queue, "{scf}");
    assert_eq!(scf_ended["event"]["time"], time, "{scf_ended}");

    assert_eq!(
        cloud["type"], "com.amazonaws.s3.ObjectCreated:Put",
        "{cloud}"
    );
    assert_eq!(
        (&cloud["subject"], &cloud["time"]),
        (&json!(key), &time),
        "{cloud}"
    );
    assert_eq!(cloud["data"], raw, "{cloud}");
    for (name, value) in [
        ("bucket", json!(bucket)),
        ("key", json!(key)),
        ("size", json!(5)),
        ("etag", json!(etag)),
        ("found_by_listing", json!(true)),
    ] {
        assert_eq!(raw[name], value, "{name}: {raw}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_has_the_shape_that_was_asked_for() {
    const TOPIC: &str = "e2e-shapes";
    let Some(client) = python() else { return };
    let Some(bootstrap) = kafka("shapes of records") else {
        return;
    };
    crate::kafka::topic(&bootstrap, TOPIC, 1, 1).await;
    let mut producer = ClientConfig::new();
    producer.set("bootstrap.servers", &bootstrap);
    let producer: FutureProducer = producer.create().unwrap();
    let header = Header {
        key: "trace",
        value: Some(b"\xff7".as_slice()),
    };
    let record = FutureRecord::to(TOPIC)
        .partition(0)
        .key("k7")
        .payload(r#"{"order":7}"#)
        .headers(OwnedHeaders::new().insert(header))
        .timestamp(1_700_000_000_123);
    let sent = producer.send(record, Duration::from_secs(60)).await;
    sent.map_err(|(error, _)| error).unwrap();
    let kafka = |format: &str| {
        format!(
            "kind = \"kafka\"\n\"bootstrap.servers\" = \"{bootstrap}\"\ntopics = [\"{TOPIC}\"]\n\
             \"group.id\" = \"{TOPIC}-{format}\"\n\"auto.offset.reset\" = \"earliest\""
        )
    };
    let hub = client.hub(&config(&client, &ALL_FORMATS, kafka)).await;
    let [(_, aws), (_, scf), (ended, cloud), (_, raw)] = one_of_each(&hub).await;

    let records = json!({ "e2e-shapes-0": [{
        "topic": TOPIC, "partition": 0, "offset": 0,
        "timestamp": 1_700_000_000_123_u64, "timestampType": "CREATE_TIME",
        "key": "azc=", "value": "eyJvcmRlciI6N30=", "headers": [{ "trace": [-1, 55] }],
    }]});
    let expected = json!({
        "eventSource": "SelfManagedKafka", "bootstrapServers": "", "records": records,
    });
    assert_eq!(aws, expected);

    let expected = json!({ "Records": [{ "Ckafka": {
        "topic": TOPIC, "partition": 0, "offset": 0, "msgKey": "k7", "msgBody": r#"{"order":7}"#,
    }}]});
    assert_eq!(scf, expected);

    assert_eq!(cloud["id"], ended["event"]["id"], "{cloud}");
    assert_eq!(cloud["time"], "2023-11-14T22:13:20.123Z", "{cloud}");
    assert_eq!(
        (&cloud["data"], &raw),
        (&json!({ "order": 7 }), &cloud["data"])
    );
}
