use serde_json::json;

use super::*;

const ODD_KEY: &str = "in/a b+é%2F\"&.mp4";
const FACTS: &str = r#","size":20481,"etag":"abc","version_id":"v1","sequencer":"0055",
    "content_type":"video/mp4","user_metadata":{"X-Amz-Meta-Owner":"ops"},"principal_id":"minio""#;

#[test]
fn an_object_in_cos() {
    let invocation = object("media-1250000001", ODD_KEY, FACTS);
    let expected = json!({"Records": [{
        "cos": {
            "cosSchemaVersion": "1.0",
            "cosObject": {
                "url": "http://store.test:9000/media-1250000001/in/a%20b%2B%C3%A9%252F%22%26.mp4",
                "meta": {"x-cos-request-id": "", "Content-Type": "video/mp4", "x-cos-meta-owner": "ops"},
                "vid": "v1",
                "key": "/1250000001/media/in/a b+é%2F\"&.mp4",
                "size": 20481,
            },
            "cosBucket": {"region": "", "name": "media", "appid": "1250000001"},
            "cosNotificationId": "unkown",
        },
        "event": {
            "eventName": "cos:ObjectCreated:Put",
            "eventVersion": "1.0",
            "eventTime": 1_767_290_400,
            "eventSource": "qcs::cos",
            "requestParameters": {"requestSourceIP": "", "requestHeaders": {"Authorization": ""}},
            "eventQueue": "qcs:0:scf::appid/1250000001:default.work.$DEFAULT",
            "reservedInfo": "",
            "reqid": 0,
        },
    }]});
    assert_eq!(rendered(&invocation, EventFormat::Scf), expected);
}

#[test]
fn a_bucket_without_an_appid_and_an_object_that_is_gone() {
    let mut invocation = object("my-media", "a", "");
    let data = String::from_utf8(invocation.event.data.unwrap().to_vec()).unwrap();
    let data = data.replace("ObjectCreated:Put", "ObjectRemoved:Delete");
    invocation.event.data = Some(data.into());
    let record = &rendered(&invocation, EventFormat::Scf)["Records"][0];
    let object = json!({
        "url": "http://store.test:9000/my-media/a",
        "meta": {"x-cos-request-id": ""},
        "vid": "",
        "key": "/0/my-media/a",
        "size": 0,
    });
    assert_eq!(record["cos"]["cosObject"], object);
    assert_eq!(
        record["cos"]["cosBucket"],
        json!({"region": "", "name": "my-media", "appid": "0"})
    );
    assert_eq!(record["event"]["eventName"], "cos:ObjectRemove:Delete");
    let record = &rendered(&invocation, EventFormat::Aws)["Records"][0];
    assert_eq!(record["s3"]["object"], json!({"key": "a"}));
    assert_eq!(record["eventName"], "ObjectRemoved:Delete");
}

#[test]
fn an_object_in_s3() {
    let expected = json!({"Records": [{
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "",
        "eventTime": "2026-01-01T18:00:00.250Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "minio"},
        "requestParameters": {"sourceIPAddress": ""},
        "responseElements": {"x-amz-request-id": "", "x-amz-id-2": ""},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "gate",
            "bucket": {"name": "media", "ownerIdentity": {"principalId": ""}, "arn": "arn:aws:s3:::media"},
            "object": {
                "key": "in/a+b%2B%C3%A9%252F%22%26.mp4",
                "size": 20481,
                "eTag": "abc",
                "versionId": "v1",
                "sequencer": "0055",
            },
        },
    }]});
    let invocation = object("media", ODD_KEY, FACTS);
    assert_eq!(rendered(&invocation, EventFormat::Aws), expected);
}

#[test]
fn a_record_in_ckafka() {
    let shape = |members: Value| json!({"Records": [{"Ckafka": members}]});
    let mut text = record(Some("{\"id\":7,\"ü\":\"\u{0}\"}".as_bytes()));
    text.event
        .extensions
        .insert("kafkakey".to_owned(), "azE=".to_owned());
    let expected = json!({
        "topic": "orders", "partition": 3, "offset": 90112,
        "msgKey": "k1", "msgBody": "{\"id\":7,\"ü\":\"\u{0}\"}",
    });
    assert_eq!(rendered(&text, EventFormat::Scf), shape(expected));
    let expected = json!({
        "topic": "orders", "partition": 3, "offset": 90112,
        "msgKey": "/2s=", "msgKeyIsBase64Encoded": true,
        "msgBody": "/wBhgA==", "msgBodyIsBase64Encoded": true,
    });
    assert_eq!(
        rendered(&record(Some(BINARY)), EventFormat::Scf),
        shape(expected)
    );
    let mut bare = record(None);
    bare.event.extensions.remove("kafkakey");
    let expected = json!({
        "topic": "orders", "partition": 3, "offset": 90112, "msgKey": "None", "msgBody": null,
    });
    assert_eq!(rendered(&bare, EventFormat::Scf), shape(expected));
}

#[test]
fn a_record_of_a_self_managed_kafka() {
    let mut members = json!({
        "topic": "orders", "partition": 3, "offset": 90112,
        "timestamp": 1_767_290_400_250_i64, "timestampType": "CREATE_TIME",
        "key": "/2s=", "value": "/wBhgA==", "headers": [{"n": [1, -1]}, {"n": []}],
    });
    let shape = |members: &Value| json!({"eventSource": "SelfManagedKafka", "bootstrapServers": "", "records": {"orders-3": [members]}});
    assert_eq!(
        rendered(&record(Some(BINARY)), EventFormat::Aws),
        shape(&members)
    );
    members.as_object_mut().unwrap().remove("value");
    assert_eq!(rendered(&record(None), EventFormat::Aws), shape(&members));
}

#[test]
fn a_tick() {
    let message = |message: &str| json!({"Type": "Timer", "TriggerName": "gate", "Time": "2026-01-01T18:00:00Z", "Message": message});
    assert_eq!(rendered(&tick(b"full"), EventFormat::Scf), message("full"));
    assert_eq!(rendered(&tick(b""), EventFormat::Scf), message(""));
    let mut binary = message("/wBhgA==");
    binary["messageIsBase64Encoded"] = true.into();
    assert_eq!(rendered(&tick(BINARY), EventFormat::Scf), binary);

    let scheduled = |detail: Value| {
        json!({
            "version": "0", "id": ID, "detail-type": "Scheduled Event", "source": "aws.events",
            "account": "", "time": "2026-01-01T18:00:00Z", "region": "",
            "resources": ["arn:aws:events:::rule/gate"], "detail": detail,
        })
    };
    assert_eq!(rendered(&tick(b""), EventFormat::Aws), scheduled(json!({})));
    assert_eq!(
        rendered(&tick(b"full"), EventFormat::Aws),
        scheduled(json!({"payload": "full"}))
    );
    let binary = scheduled(json!({"payload_base64": "/wBhgA=="}));
    assert_eq!(rendered(&tick(BINARY), EventFormat::Aws), binary);
    let constant = br#"{"b":1, "a":2}"#;
    assert_eq!(
        render(&tick(constant), EventFormat::Aws),
        constant.as_slice()
    );
}

#[test]
fn a_request_through_tencents_gateway() {
    let expected = json!({
        "requestContext": {
            "serviceId": "", "path": "/jobs/7", "httpMethod": "POST", "requestId": ID,
            "identity": {}, "sourceIp": "", "stage": "release",
        },
        "headers": {"content-type": "application/json"},
        "body": "{\"a\":1}",
        "pathParameters": {"id": "7"},
        "queryStringParameters": {},
        "headerParameters": {},
        "stageVariables": {"stage": "release"},
        "path": "/jobs/7",
        "queryString": {"v": "1", "tag": ["x", "y & z"], "flag": true},
        "httpMethod": "POST",
    });
    let json = request(Some("application/json"), b"{\"a\":1}");
    assert_eq!(rendered(&json, EventFormat::Scf), expected);
    let binary = rendered(&request(None, BINARY), EventFormat::Scf);
    assert_eq!(
        (&binary["body"], &binary["isBase64Encoded"]),
        (&json!("/wBhgA=="), &json!(true))
    );
}

#[test]
fn a_request_through_amazons_gateway() {
    let expected = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/jobs/7",
        "rawQueryString": "v=1&tag=x&tag=y+%26%20z&flag",
        "headers": {"content-type": "text/plain"},
        "queryStringParameters": {"v": "1", "tag": "x,y & z", "flag": ""},
        "pathParameters": {"id": "7"},
        "requestContext": {
            "accountId": "", "apiId": "", "domainName": "", "domainPrefix": "",
            "http": {
                "method": "POST", "path": "/jobs/7", "protocol": "HTTP/1.1", "sourceIp": "", "userAgent": "",
            },
            "requestId": ID,
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:18:00:00 +0000",
            "timeEpoch": 1_767_290_400_250_i64,
        },
        "body": "hé",
        "isBase64Encoded": false,
    });
    let text = request(Some("text/plain"), "hé".as_bytes());
    assert_eq!(rendered(&text, EventFormat::Aws), expected);
    let mut binary = request(None, BINARY);
    binary
        .event
        .extensions
        .retain(|name, _| name == "httpmethod" || name == "httppath");
    let binary = rendered(&binary, EventFormat::Aws);
    assert_eq!(
        (&binary["body"], &binary["isBase64Encoded"]),
        (&json!("/wBhgA=="), &json!(true))
    );
    for absent in ["queryStringParameters", "pathParameters"] {
        assert_eq!(binary.get(absent), None);
    }
}

#[test]
fn a_cloud_event_in_a_request_keeps_its_attributes_as_headers() {
    let mut invocation = request(Some("application/json"), b"{}");
    invocation.event.kind = "com.example.paid".to_owned();
    invocation.event.subject = Some("é 1".to_owned());
    for format in [EventFormat::Aws, EventFormat::Scf] {
        let document = rendered(&invocation, format);
        let expected = json!({
            "content-type": "application/json",
            "ce-specversion": "1.0",
            "ce-id": "e-1",
            "ce-source": "/triggers/gate",
            "ce-type": "com.example.paid",
            "ce-subject": "%C3%A9%201",
            "ce-time": "2026-01-01T18:00:00.250Z",
        });
        assert_eq!(document["headers"], expected);
    }
}
