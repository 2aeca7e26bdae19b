use super::*;

fn answer() -> Manner {
    Manner::Answer(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec())
}

/// The request that a run makes: first line, headers sorted, body.
async fn request_of(headers: &[(&str, &str)], start: Start) -> (String, Vec<String>, String) {
    let fake = Target::new(answer()).await;
    let mut target = target(&fake.url("/events?token=t"));
    let headers = headers.iter();
    let headers = headers.map(|(name, value)| ((*name).to_owned(), Value::new(*value)));
    target.headers = headers.collect();
    assert_eq!(run(target, start).await.end, End::Succeeded);
    let request = String::from_utf8(fake.seen().requests.remove(0)).unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let mut lines = head.split("\r\n").map(str::to_owned);
    let first = lines.next().unwrap();
    let mut lines: Vec<String> = lines.filter(|line| !line.starts_with("host: ")).collect();
    lines.sort();
    (first, lines, body.to_owned())
}

#[tokio::test]
async fn a_cloud_event_in_binary_form() {
    let own = [
        ("authorization", "Bearer abc"),
        ("tripline-function", "other"),
    ];
    let (first, headers, body) = request_of(&own, start()).await;
    assert_eq!(first, "POST /events?token=t HTTP/1.1");
    assert_eq!(body, "{\"a\":1}");
    let expected = [
        "accept: */*",
        "authorization: Bearer abc",
        "ce-id: e-1",
        "ce-own: x",
        "ce-source: /triggers/gate",
        "ce-specversion: 1.0",
        "ce-subject: 50%20%25%20of%20%22%C3%A9%22%0D%0Ahost:%20evil",
        "ce-time: 2026-01-01T18:00:00.250Z",
        "ce-type: com.example.paid",
        "content-length: 7",
        "content-type: application/json",
        "tripline-deadline-ms: 1767290410250",
        "tripline-function: away",
        &format!("tripline-request-id: {ID}"),
        concat!("user-agent: tripline/", env!("CARGO_PKG_VERSION")),
    ];
    assert_eq!(headers, expected);
}

/// The environment belongs to the whole process, so this runs the test above in another one.
#[test]
fn no_proxy_of_the_environment_is_used() {
    let test = "http::tests::request::a_cloud_event_in_binary_form";
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", test]);
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        // Nobody is there.
        command.env(name, "http://127.0.0.1:1");
    }
    let output = command
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .output()
        .unwrap();
    let words = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && words.contains("1 passed"),
        "{words}"
    );
}

#[tokio::test]
async fn no_value_is_an_empty_body_and_a_bad_content_type_is_left_out() {
    let mut start = start();
    start.invocation.event.data = None;
    start.invocation.event.content_type = Some("text/plain\r\nhost: evil".to_owned());
    let (_, headers, body) = request_of(&[], start).await;
    assert_eq!(body, "");
    assert!(
        headers.contains(&"content-length: 0".to_owned()),
        "{headers:?}"
    );
    let sent = headers.iter().any(|line| line.contains("content-type"));
    assert!(!sent && !headers.contains(&"host: evil".to_owned()));
}
