//! Every route with every invalid token, by every method, in every spelling. Made out of the list of routes.

use axum::body::Body;
use http::{Method, Request, Uri};

use super::hub::{TOKEN, TestHub, request};
use crate::routes::{AdminRoute, Class, ROUTES, class};

// Not a module of its own crate: the end-to-end tests send the same to a real hub.
#[expect(unreachable_pub, reason = "it is public where it lives")]
#[path = "../../../../tests/src/auth_cases.rs"]
mod auth_cases;

use auth_cases::{no_credentials, spellings};

const ID: &str = "019ab3c8-6d0f-7c51-9d2e-0f4a5b6c7d8e";

/// Methods of HTTP, of WebDAV, and none at all.
const METHODS: [&str; 12] = [
    "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "PROPFIND",
    "get", "POSTX",
];

/// What anybody may get.
const HEALTH: [&str; 2] = [r#"{"status":"ok"}"#, r#"{"status":"ready"}"#];

/// The route's path with names of things that are there.
fn filled(route: &AdminRoute) -> String {
    let name = if route.path.contains("/triggers/") {
        "door"
    } else {
        "work"
    };
    route.path.replace("{name}", name).replace("{id}", ID)
}

fn with(method: &str, target: &str, headers: &[(&'static str, String)]) -> Option<Request<Body>> {
    // What is no target at all is refused before there is a router.
    target.parse::<Uri>().ok()?;
    let mut request = Request::builder()
        .method(method)
        .uri(target)
        .header("host", "localhost:8081");
    for (name, value) in headers {
        request = request.header(*name, value);
    }
    Some(request.body(Body::from("stranger")).expect("a request"))
}

#[test]
fn the_public_routes_are_these_and_no_others() {
    let of_class = |class| ROUTES.iter().filter(move |route| route.class == class);
    let public: Vec<_> = of_class(Class::Public)
        .map(|route| (route.method.as_str(), route.path))
        .collect();
    assert_eq!(public, [("GET", "/healthz"), ("GET", "/readyz")]);
    assert_eq!(of_class(Class::Token).count(), ROUTES.len() - public.len());
    for route in ROUTES {
        assert_eq!(class(&route.method, route.path), route.class, "{route:?}");
        assert_eq!(
            class(&Method::DELETE, route.path),
            Class::Token,
            "{route:?}"
        );
    }
    assert_eq!(class(&Method::HEAD, "/readyz"), Class::Public);
}

#[test]
fn no_route_stands_outside_the_list() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src");
    let sources = std::fs::read_dir(folder)
        .expect("the sources")
        .flatten()
        .map(|entry| entry.path());
    for source in sources.filter(|path| path.extension().is_some_and(|end| end == "rs")) {
        let text = std::fs::read_to_string(&source).expect("text");
        let expected = usize::from(source.ends_with("routes.rs"));
        for word in [
            ".route(",
            ".route_service(",
            ".nest(",
            ".nest_service(",
            ".merge(",
        ] {
            let allowed = if word == ".route(" { expected } else { 0 };
            assert_eq!(
                text.matches(word).count(),
                allowed,
                "{word} in {}",
                source.display()
            );
        }
    }
}

#[tokio::test]
async fn the_description_says_the_same_of_every_route() {
    let api: serde_json::Value = serde_json::from_str(crate::openapi()).expect("JSON");
    let paths = api["paths"].as_object().expect("paths");
    let count: usize = paths
        .values()
        .map(|path| path.as_object().expect("methods").len())
        .sum();
    assert_eq!(count, ROUTES.len());
    for route in ROUTES {
        let operation = &paths[route.path][route.method.as_str().to_lowercase()];
        assert!(operation.is_object(), "{route:?} is not described");
        let is_public = operation["security"] == serde_json::json!([{}]);
        assert_eq!(
            is_public,
            route.class == Class::Public,
            "{route:?}: {operation}"
        );
    }
}

#[tokio::test]
async fn nothing_but_health_answers_without_the_token() {
    let hub = TestHub::start().await;
    let other = "token-of-a-trigger";
    let mut tried = 0;
    for (name, headers) in no_credentials(TOKEN, other) {
        for route in ROUTES {
            let path = filled(route);
            let plain = METHODS.map(|method| (path.clone(), method));
            let others = spellings(&path).into_iter();
            let others = others.flat_map(|target| [(target.clone(), "GET"), (target, "POST")]);
            for (target, method) in plain.into_iter().chain(others) {
                let target = target.replace("TOKEN", TOKEN);
                let Some(request) = with(method, &target, &headers) else {
                    continue;
                };
                let is_open = class(request.method(), request.uri().path()) == Class::Public;
                let answer = hub.send(request, false).await;
                let context = format!("{method} {target} with a token that is {name}: {answer:?}");
                tried += 1;
                match answer.status.as_u16() {
                    200 => {
                        assert!(is_open, "{context}");
                        assert!(
                            method == "HEAD" || HEALTH.contains(&answer.text().as_str()),
                            "{context}"
                        );
                    }
                    // A host in the target that is not ours.
                    421 => {}
                    // An answer to `HEAD` has no body.
                    401 if method == "HEAD" => {}
                    _ => {
                        answer.problem(401, "unauthorized");
                        assert!(!answer.headers.contains_key("allow"), "{context}");
                    }
                }
                assert!(
                    !answer
                        .headers
                        .keys()
                        .any(|name| name.as_str().starts_with("access-control-"))
                );
            }
        }
    }
    assert!(tried > 20_000, "{tried}");
    let listed = hub.ask("GET", "/v1/invocations").await.json();
    assert_eq!(listed["invocations"], serde_json::json!([]));
    assert_ne!(
        hub.ask("GET", "/v1/triggers/door").await.json()["state"],
        "paused"
    );
}

#[tokio::test]
async fn the_right_token_opens_every_route_as_it_is_written() {
    let hub = TestHub::start().await;
    for route in ROUTES {
        let path = filled(route);
        let answer = hub.ask(route.method.as_str(), &path).await;
        let is_elsewhere = answer.text().contains("unknown_route") || answer.status == 405;
        assert!(
            !is_elsewhere && answer.status != 401,
            "{route:?}: {answer:?}"
        );
        assert_eq!(answer.headers["x-content-type-options"], "nosniff");
        // Other spellings of a name are the name; other spellings of the rest are nothing.
        for target in [format!("{path}/"), path.to_uppercase(), format!("/{path}")] {
            let request = request(route.method.as_str(), &target, "");
            let answer = hub.send(request, true).await;
            assert_eq!(answer.status, 404, "{target}: {answer:?}");
        }
    }
}
