//! Host names, tokens and unknown paths.

use super::hub::{TestHub, request};

const ID: &str = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";

#[tokio::test]
async fn health_needs_no_token() {
    let hub = TestHub::start().await;
    let answer = hub.send(request("GET", "/healthz", ""), false).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (200, r#"{"status":"ok"}"#.to_owned())
    );
    let answer = hub.send(request("GET", "/readyz", ""), false).await;
    assert_eq!(
        (answer.status.as_u16(), answer.text()),
        (200, r#"{"status":"ready"}"#.to_owned())
    );
}

#[tokio::test]
async fn an_unknown_host_name_is_refused_before_the_token_is_checked() {
    let hub = TestHub::start().await;
    for path in ["/healthz", "/v1/functions"] {
        for host in ["evil.example", "localhost.evil.example:8081", "192.0.2.1"] {
            let mut asked = request("GET", path, "");
            asked.headers_mut().insert("host", host.parse().unwrap());
            hub.send(asked, true).await.problem(421, "unknown_host");
        }
        let mut twice = request("GET", path, "");
        twice
            .headers_mut()
            .append("host", "evil.example".parse().unwrap());
        hub.send(twice, true).await.problem(421, "unknown_host");
        let mut none = request("GET", path, "");
        none.headers_mut().remove("host");
        hub.send(none, true).await.problem(421, "unknown_host");
        let absolute = request("GET", &format!("http://evil.example{path}"), "");
        hub.send(absolute, true).await.problem(421, "unknown_host");
    }
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems() {
    let hub = TestHub::start().await;
    hub.ask("GET", "/nothing")
        .await
        .problem(404, "unknown_route");
    let answer = hub.ask("DELETE", "/v1/functions").await;
    answer.problem(405, "wrong_method");
    assert!(answer.headers["allow"].to_str().unwrap().contains("GET"));
}

#[tokio::test]
async fn hostile_ids_and_names_name_nothing() {
    let hub = TestHub::start().await;
    for id in [
        "x",
        "..%2f..%2fetc%2fpasswd",
        "%00",
        "%ff",
        "%1b%5b2J",
        &ID.replace('-', ""),
        "00000000-0000-4000-8000-000000000000",
    ] {
        for (method, rest) in [
            ("GET", ""),
            ("GET", "/result"),
            ("GET", "/logs"),
            ("POST", "/terminate"),
        ] {
            let answer = hub
                .ask(method, &format!("/v1/invocations/{id}{rest}"))
                .await;
            let problem = answer.problem(404, "unknown_invocation");
            assert!(!problem.to_string().contains("passwd"), "{problem}");
        }
        hub.ask("GET", &format!("/v1/functions/{id}.."))
            .await
            .problem(404, "unknown_function");
        hub.ask("POST", &format!("/v1/triggers/{id}../pause"))
            .await
            .problem(404, "unknown_trigger");
        let answer = hub
            .ask("POST", &format!("/v1/functions/{id}../invocations"))
            .await;
        assert_eq!(answer.problem(404, "unknown_function")["accepted"], "no");
    }
}
