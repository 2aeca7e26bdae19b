use super::*;
use axum::body::to_bytes;
use serde_json::{Value, json};
use tripline_model::{FunctionName, Timestamp};

async fn wire(problem: Problem) -> (http::response::Parts, Value) {
    let (parts, body) = problem.into_response().into_parts();
    let body = to_bytes(body, 1 << 16).await.unwrap();
    (parts, serde_json::from_slice(&body).unwrap())
}

fn rejections() -> Vec<(Rejected, u16, &'static str, Option<&'static str>)> {
    let over = |millis| Rejected::OverLimit {
        retry_after: Duration::from_millis(millis),
        scope: "the hub".to_owned(),
        limit: 1000,
    };
    let full = Rejected::QueueFull {
        scope: "the hub".to_owned(),
        limit: 5,
    };
    let large = Rejected::TooLarge { size: 9, limit: 8 };
    let attributes = Rejected::AttributesTooLarge { size: 9, limit: 8 };
    let unknown = Rejected::UnknownFunction(FunctionName::new("gone").unwrap());
    vec![
        (over(1), 429, "no", Some("1")),
        (over(1001), 429, "no", Some("2")),
        (full, 503, "no", Some("1")),
        (unknown, 404, "no", None),
        (large, 413, "no", None),
        (attributes, 413, "no", None),
        (Rejected::Invalid("no id".to_owned()), 400, "no", None),
        (Rejected::KeyReused, 422, "no", None),
        (Rejected::Draining, 503, "no", Some("1")),
        (Rejected::StorageFull, 503, "no", None),
        (Rejected::Unavailable, 503, "no", None),
        (Rejected::Unknown, 503, "unknown", None),
    ]
}

#[tokio::test]
async fn each_refusal_says_what_became_of_the_event() {
    for (rejected, status, accepted, retry_after) in rejections() {
        let (parts, body) = wire(rejected.clone().into()).await;
        assert_eq!(parts.status.as_u16(), status, "{rejected}");
        assert_eq!(
            parts.headers[header::CONTENT_TYPE],
            "application/problem+json"
        );
        let sent = parts.headers.get(header::RETRY_AFTER);
        assert_eq!(sent.map(|v| v.to_str().unwrap()), retry_after, "{rejected}");
        assert_eq!(body["type"], format!("urn:tripline:{}", rejected.as_str()));
        assert_eq!(body["status"], status);
        assert_eq!(body["detail"], rejected.to_string());
        assert_eq!(body["accepted"], accepted);
    }
}

#[tokio::test]
async fn what_is_not_known_is_left_out() {
    let problem = Problem::new(
        StatusCode::UNAUTHORIZED,
        "unauthorized",
        "a token is needed",
    );
    let (parts, body) = wire(problem).await;
    let expected = json!({
        "type": "urn:tripline:unauthorized", "title": "a token is needed", "status": 401
    });
    assert_eq!(body, expected);
    assert_eq!(parts.headers[header::WWW_AUTHENTICATE], "Bearer");
    let id = RequestId::new(Timestamp::from_millis(1), [7; 10]);
    let problem = Problem::new(StatusCode::CONFLICT, "ended", "it is over").request_id(id);
    assert_eq!(wire(problem).await.1["request_id"], id.to_string());
}
