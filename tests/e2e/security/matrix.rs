//! Every route of the admin API with everything that is no token, in every spelling, at both doors of a real hub. The
//! routes are those that the hub itself describes.

use tripline_tests::{Answer, Hub, Raw, no_credentials, spellings};

use super::{DOOR_TOKEN, address, answers, guarded, request};

const ID: &str = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";

struct Route {
    method: String,
    path: String,
    is_public: bool,
}

/// What `/openapi.json` lists, with names of things that are there.
async fn routes(hub: &Hub) -> Vec<Route> {
    let api = hub.get("/openapi.json").await;
    let mut routes = Vec::new();
    for (path, operations) in api["paths"].as_object().expect("paths") {
        let name = if path.contains("/triggers/") {
            "door"
        } else {
            "work"
        };
        let path = path.replace("{name}", name).replace("{id}", ID);
        for (method, operation) in operations.as_object().expect("operations") {
            routes.push(Route {
                method: method.to_uppercase(),
                path: path.clone(),
                is_public: operation["security"] == serde_json::json!([{}]),
            });
        }
    }
    routes
}

/// Whether an answer tells a stranger nothing but that it is one, or that this is no request.
fn tells_nothing(answer: Option<&Answer>) -> bool {
    let Some(answer) = answer else {
        return true;
    };
    let kinds: &[&str] = match answer.status {
        401 => &["unauthorized"],
        421 => &["unknown_host"],
        400 => &["malformed_request"],
        414 | 431 => &["uri_too_long", "head_too_large"],
        _ => return false,
    };
    let kind = answer.json()["type"]
        .as_str()
        .unwrap_or_default()
        .replace("urn:tripline:", "");
    kinds.contains(&kind.as_str()) && !answer.head.contains("\r\nallow:")
}

#[tokio::test(flavor = "multi_thread")]
async fn only_health_answers_strangers_at_the_admin_door() {
    let hub = guarded().await;
    let admin = address(&hub.admin(""));
    let token = hub.token();
    let routes = routes(&hub).await;
    let public: Vec<_> = routes
        .iter()
        .filter(|route| route.is_public)
        .map(|route| &*route.path)
        .collect();
    assert_eq!(public, ["/healthz", "/readyz"]);
    for (name, headers) in no_credentials(&token, DOOR_TOKEN) {
        let mut requests = Vec::new();
        for route in &routes {
            let mut targets = spellings(&route.path);
            targets.push(format!("{}/{}", route.path, "a".repeat(40_000)));
            if !route.is_public {
                targets.push(route.path.clone());
            }
            for target in targets {
                let target = target.replace("TOKEN", &token);
                requests.push(request(&admin, &route.method, &target, &headers));
            }
            for method in ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND"] {
                requests.push(request(&admin, method, &route.path, &headers));
            }
        }
        for (asked, answer) in requests.iter().zip(answers(&admin, &requests).await) {
            let line = asked.lines().next().unwrap_or_default();
            assert!(
                tells_nothing(answer.as_ref()),
                "{line:.200} with a token that is {name}: {answer:?}"
            );
        }
    }
    unharmed(&hub).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_head_tells_strangers_no_more() {
    let hub = guarded().await;
    let admin = address(&hub.admin(""));
    for route in routes(&hub).await {
        let mut raw = Raw::open(&admin).await;
        let close = [("connection", "close".to_owned())];
        raw.send(request(&admin, "HEAD", &route.path, &close)).await;
        let answer = raw.rest().await;
        let status = if route.is_public {
            "HTTP/1.1 200 "
        } else {
            "HTTP/1.1 401 "
        };
        assert!(answer.starts_with(status), "{}: {answer}", route.path);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_doors_have_nothing_in_common() {
    let hub = guarded().await;
    let (admin, gateway) = (address(&hub.admin("")), address(&hub.gateway("")));
    let with = |token: &str| [("authorization", format!("Bearer {token}"))];
    for headers in [with(&hub.token()), with(DOOR_TOKEN), with("wrong")] {
        let mut requests = Vec::new();
        for route in routes(&hub).await {
            let mut targets = spellings(&route.path);
            targets.push(route.path);
            let asked = targets
                .iter()
                .map(|target| request(&gateway, &route.method, target, &headers));
            requests.extend(asked);
        }
        for (asked, answer) in requests.iter().zip(answers(&gateway, &requests).await) {
            let status = answer.as_ref().map_or(404, |answer| answer.status);
            let line = asked.lines().next().unwrap_or_default();
            assert!(
                matches!(status, 404 | 400 | 414 | 431),
                "{line:.200}: {answer:?}"
            );
        }
    }
    // Nor does one token open the other door.
    let door = request(&gateway, "POST", "/door", &with(&hub.token()));
    let at_gateway = answers(&gateway, &[door]).await;
    assert_eq!(at_gateway[0].as_ref().expect("an answer").status, 401);
    let door = request(&admin, "POST", "/door", &with(&hub.token()));
    let at_admin = answers(&admin, &[door]).await;
    assert_eq!(at_admin[0].as_ref().expect("an answer").status, 404);
    unharmed(&hub).await;
}

/// Nothing ran, nothing was changed, and who has a token is let in.
async fn unharmed(hub: &Hub) {
    assert_eq!(hub.invocations("").await.len(), 0);
    assert_eq!(hub.get("/v1/triggers/door").await["state"], "running");
    let call = hub
        .client()
        .post(hub.gateway("/door"))
        .bearer_auth(DOOR_TOKEN);
    let answer = call.body("good").send().await.expect("it answers");
    assert_eq!(answer.status().as_u16(), 202);
    let ended = hub.ended_of("door", 1).await;
    assert_eq!(ended[0]["state"], "succeeded");
    assert_eq!(hub.lines("ledger"), ["good"]);
    let log = hub.lines("hub.log").concat();
    assert!(!log.contains("panicked"), "{log}");
}
