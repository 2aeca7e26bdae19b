use std::cmp::Reverse;
use std::collections::HashMap;

use super::*;
use crate::route::Shape;
use axum::body::{Body, to_bytes};
use proptest::prelude::*;
use tokio::sync::Notify;
use tower::ServiceExt;

/// Answers with its name and the parameters it got.
struct Echo(&'static str);

#[async_trait]
impl GatewayHandler for Echo {
    async fn handle(&self, params: Vec<(String, String)>, _request: Request) -> Response {
        format!("{} {params:?}", self.0).into_response()
    }
}

fn mount(gateway: &Gateway, route: &str, name: &'static str) -> Mount {
    let route = route.parse().unwrap();
    gateway.reserve(&route).unwrap();
    gateway.mount(&route, Arc::new(Echo(name))).unwrap()
}

async fn ask(gateway: &Gateway, method: &str, path: &str) -> Response {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    gateway.router().oneshot(request).await.unwrap()
}

async fn answer_to(gateway: &Gateway, method: &str, path: &str) -> String {
    let response = ask(gateway, method, path).await;
    assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
    let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn allowed(response: &Response) -> &str {
    response.headers()[header::ALLOW].to_str().unwrap()
}

#[tokio::test]
async fn handlers_come_and_go_while_it_serves() {
    let gateway = Gateway::new();
    assert_eq!(ask(&gateway, "GET", "/a").await.status(), 404);
    let a = mount(&gateway, "GET /a", "a");
    let _b = mount(&gateway, "GET /b", "b");
    assert_eq!(answer_to(&gateway, "GET", "/a?x=1").await, "a []");
    drop(a);
    let refused = ask(&gateway, "GET", "/a").await;
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()[header::RETRY_AFTER], "5");
    let body = to_bytes(refused.into_body(), 1 << 16).await.unwrap();
    let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(problem["accepted"], "no", "{problem}");
    assert_eq!(answer_to(&gateway, "GET", "/b").await, "b []");
    let _again = mount(&gateway, "GET /a", "again");
    assert_eq!(answer_to(&gateway, "GET", "/a").await, "again []");
}

#[tokio::test]
async fn a_broader_route_never_gets_the_callers_of_one_without_a_handler() {
    let gateway = Gateway::new();
    let _rest = mount(&gateway, "POST /{*rest}", "rest");
    gateway
        .reserve(&"POST /orders/pre-{id}.xml".parse().unwrap())
        .unwrap();
    assert_eq!(
        ask(&gateway, "POST", "/orders/pre-7.xml").await.status(),
        503
    );
    drop(mount(&gateway, "POST /orders/pre-{id}.xml", "special"));
    assert_eq!(
        ask(&gateway, "POST", "/orders/pre-7.xml").await.status(),
        503
    );
    let other = answer_to(&gateway, "POST", "/orders/7.xml").await;
    assert_eq!(other, r#"rest [("rest", "orders/7.xml")]"#);
}

#[tokio::test]
async fn nothing_is_mounted_on_a_route_that_was_not_reserved_or_has_a_handler() {
    let gateway = Gateway::new();
    let route: Route = "GET /a".parse().unwrap();
    let mount_again = || gateway.mount(&route, Arc::new(Echo("again"))).err();
    assert_eq!(mount_again().unwrap().reason, "it was not reserved");
    assert_eq!(ask(&gateway, "GET", "/a").await.status(), 404);
    let first = mount(&gateway, "GET /a", "first");
    assert_eq!(mount_again().unwrap().reason, "it has a handler already");
    assert_eq!(answer_to(&gateway, "GET", "/a").await, "first []");
    assert!(gateway.is_mounted(&route));
    drop(first);
    assert!(!gateway.is_mounted(&route));
}

#[tokio::test]
async fn in_a_drain_everything_is_refused() {
    let gateway = Gateway::new();
    let _route = mount(&gateway, "POST /a", "a");
    gateway.drain();
    for path in ["/a", "/unknown"] {
        let refused = ask(&gateway, "POST", path).await;
        assert_eq!(refused.status(), 503, "{path}");
        let body = to_bytes(refused.into_body(), 1 << 16).await.unwrap();
        let problem: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(problem["type"], "urn:tripline:draining", "{path}");
    }
}

#[tokio::test]
async fn parameters_are_decoded_once() {
    let gateway = Gateway::new();
    let _one = mount(&gateway, "POST /x/{a}/{b}.jpg", "one");
    let _rest = mount(&gateway, "POST /files/{*rest}", "rest");
    let twice = answer_to(&gateway, "POST", "/x/a%2Fb/%2541.jpg").await;
    assert_eq!(twice, r#"one [("a", "a/b"), ("b", "%41")]"#);
    let rest = answer_to(&gateway, "POST", "/files/a/b%20c").await;
    assert_eq!(rest, r#"rest [("rest", "a/b c")]"#);
    assert_eq!(ask(&gateway, "POST", "/x/%FF/a.jpg").await.status(), 400);
}

#[tokio::test]
async fn the_exact_route_wins_and_methods_keep_apart() {
    let gateway = Gateway::new();
    let _id = mount(&gateway, "GET /orders/{id}", "id");
    let _new = mount(&gateway, "GET /orders/new", "new");
    let _post = mount(&gateway, "POST /orders/{number}", "post");
    assert_eq!(answer_to(&gateway, "GET", "/orders/new").await, "new []");
    assert_eq!(
        answer_to(&gateway, "GET", "/orders/7").await,
        r#"id [("id", "7")]"#
    );
    let post = answer_to(&gateway, "POST", "/orders/7").await;
    assert_eq!(post, r#"post [("number", "7")]"#);
}

#[tokio::test]
async fn other_methods_get_the_allowed_ones() {
    let gateway = Gateway::new();
    let _get = mount(&gateway, "GET /a", "get");
    let _post = mount(&gateway, "POST /a", "post");
    let _only = mount(&gateway, "POST /b", "only");
    let refused = ask(&gateway, "DELETE", "/a").await;
    assert_eq!(refused.status(), 405);
    assert_eq!(allowed(&refused), "GET, HEAD, OPTIONS, POST");
    let refused = ask(&gateway, "GET", "/b").await;
    assert_eq!(
        (refused.status().as_u16(), allowed(&refused)),
        (405, "OPTIONS, POST")
    );
    assert_eq!(
        refused.headers()[header::CONTENT_TYPE],
        "application/problem+json"
    );
}

#[tokio::test]
async fn options_and_head_run_nothing() {
    let gateway = Gateway::new();
    let _get = mount(&gateway, "GET /a", "get");
    let _post = mount(&gateway, "POST /b", "post");
    for (method, path, status) in [
        ("HEAD", "/a", 204),
        ("HEAD", "/b", 405),
        ("HEAD", "/c", 404),
        ("OPTIONS", "/a", 204),
        ("OPTIONS", "/b", 204),
        ("OPTIONS", "/c", 404),
        ("OPTIONS", "*", 204),
    ] {
        let response = ask(&gateway, method, path).await;
        assert_eq!(response.status().as_u16(), status, "{method} {path}");
    }
}

#[tokio::test]
async fn a_taken_route_is_refused_and_named() {
    let gateway = Gateway::new();
    let _first = mount(&gateway, "GET /orders/{id}", "first");
    let route: Route = "GET /orders/{number}".parse().unwrap();
    let taken = gateway.reserve(&route).unwrap_err();
    assert_eq!(
        taken.reason,
        "it takes the same requests as `GET /orders/{id}`"
    );
    assert!(
        answer_to(&gateway, "GET", "/orders/7")
            .await
            .starts_with("first")
    );
}

struct Slow {
    began: Notify,
    go_on: Notify,
}

#[async_trait]
impl GatewayHandler for Slow {
    async fn handle(&self, _params: Vec<(String, String)>, _request: Request) -> Response {
        self.began.notify_one();
        self.go_on.notified().await;
        "done".into_response()
    }
}

#[tokio::test]
async fn a_request_in_flight_outlives_its_route() {
    let gateway = Gateway::new();
    let (began, go_on) = (Notify::new(), Notify::new());
    let slow = Arc::new(Slow { began, go_on });
    let route: Route = "GET /slow".parse().unwrap();
    gateway.reserve(&route).unwrap();
    let guard = gateway.mount(&route, slow.clone()).unwrap();
    let unmounts = async {
        slow.began.notified().await;
        drop(guard);
        slow.go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(answer_to(&gateway, "GET", "/slow"), unmounts);
    assert_eq!(answer, "done");
}

/// Routes that share prefixes, suffixes, parameters and methods.
const ROUTES: [&str; 13] = [
    "GET /",
    "GET /orders",
    "GET /orders/{id}",
    "GET /orders/{id}/lines",
    "GET /orders/{number}/lines/{line}",
    "GET /{*rest}",
    "GET /ord{x}",
    "GET /ord{x}/{y}",
    "GET /ord{x}/pre-{y}.jpg",
    "GET /ord{x}/pre-{y}.jpg/more",
    "GET /ord{x}/pre-7.jpg",
    "POST /{any}/{id}",
    "POST /orders/pre-{id}.jpg",
];

const PATHS: [&str; 12] = [
    "/",
    "/orders",
    "/orders/7",
    "/orders/7/lines",
    "/orders/7/lines/8",
    "/ordinal",
    "/ordinal/pre-6.jpg",
    "/ordinal/pre-7.jpg",
    "/ordinal/pre-7.jpg/more",
    "/orders/pre-7.jpg",
    "/x/y",
    "/orders/7/lines/8/9",
];

proptest! {
    /// Whichever handlers are mounted, a request is for the same route as if all routes had one.
    #[test]
    fn a_request_is_for_the_same_route_whatever_is_mounted(
        toggles in prop::collection::vec(0..ROUTES.len(), 0..40)
    ) {
        let (gateway, full) = (Gateway::new(), Gateway::new());
        let _all = ROUTES.map(|route| mount(&full, route, route));
        for route in ROUTES {
            gateway.reserve(&route.parse().unwrap()).unwrap();
        }
        let mut mounts: HashMap<&str, Mount> = HashMap::new();
        for index in toggles {
            let route = ROUTES[index];
            if mounts.remove(route).is_none() {
                mounts.insert(route, mount(&gateway, route, route));
            }
        }
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        for (method, path) in PATHS.iter().flat_map(|path| [("GET", path), ("POST", path)]) {
            let (whole, now) = runtime.block_on(async {
                (ask(&full, method, path).await, ask(&gateway, method, path).await)
            });
            if whole.status() != 200 {
                prop_assert_eq!(now.status(), whole.status(), "{} {}", method, path);
                continue;
            }
            let body = runtime.block_on(to_bytes(whole.into_body(), 1 << 16)).unwrap();
            let answer = String::from_utf8(body.to_vec()).unwrap();
            let route = ROUTES.iter().find(|route| answer.starts_with(&format!("{route} ["))).unwrap();
            if mounts.contains_key(route) {
                let body = runtime.block_on(to_bytes(now.into_body(), 1 << 16)).unwrap();
                prop_assert_eq!(&body[..], answer.as_bytes(), "{} {}", method, path);
            } else {
                prop_assert_eq!(now.status().as_u16(), 503, "{} {}", method, path);
            }
        }
    }
}

/// Whether the path matches the pattern: an implementation as simple as possible.
fn matches(route: &Route, path: &str) -> bool {
    let mut segments = path.split('/');
    for shape in route.shapes() {
        let rest = segments.clone().collect::<Vec<_>>().join("/");
        let Some(segment) = segments.next() else {
            return false;
        };
        let between = |before: &str, after: &str| {
            let inner = segment.strip_prefix(before);
            let inner = inner.and_then(|text| text.strip_suffix(after));
            inner.is_some_and(|text| !text.is_empty())
        };
        let right = match shape {
            Shape::Plain(text) => text == segment,
            Shape::Whole => between("", ""),
            Shape::Part(before, Reverse(after)) => between(before, after),
            Shape::Rest(before) => {
                return rest
                    .strip_prefix(before)
                    .is_some_and(|text| !text.is_empty());
            }
        };
        if !right {
            return false;
        }
    }
    segments.next().is_none()
}

const PATH: &str = "(/[ab]|/[ab]?\\{[ab]\\}(\\.[st]){0,2}){1,3}(/\\{\\*c\\}|/)?";

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    /// Whatever their order in the file, the same routes are reserved, and none is refused that some order would allow.
    #[test]
    fn the_order_of_routes_does_not_matter(
        paths in prop::collection::vec(PATH, 2..5),
        order in Just(vec![0, 1, 2, 3]).prop_shuffle(),
    ) {
        let routes: Vec<Route> = paths.iter().filter_map(|path| format!("GET {path}").parse().ok()).collect();
        let order = order.into_iter().filter(|at| *at < routes.len());
        let shuffled: Vec<Route> = order.map(|at| routes[at].clone()).collect();
        let refused = |routes: &[Route]| Gateway::new().reserve_all(routes);
        let (here, there) = (refused(&routes), refused(&shuffled));
        prop_assert_eq!(here.is_empty(), there.is_empty(), "{:?} {:?}", here, there);
        let mut one_by_one = matchit::Router::new();
        let conflicts = |route: &Route| one_by_one.insert(route.path.as_str(), ()).is_err();
        if !shuffled.iter().any(conflicts) {
            // Two that match the same requests are refused even where the router does not notice.
            let needless = here.iter().find(|(_, why)| why.other.is_none());
            prop_assert!(needless.is_none(), "{:?}: {:?}", shuffled, needless);
        }
    }

    /// A request that some route matches is never lost.
    #[test]
    fn what_a_route_matches_is_answered(
        paths in prop::collection::vec(PATH, 1..5),
        asked in "(/[ab]?[ab~](\\.[st]){0,2}){1,3}/?",
    ) {
        let all: Vec<Route> = paths.iter().filter_map(|path| format!("GET {path}").parse().ok()).collect();
        let mut table = Table::default();
        let refused = table.reserve(&all);
        if refused.is_empty() && all.iter().any(|route| matches(route, &asked)) {
            let found = table.find(&Method::GET, &asked);
            prop_assert!(matches!(found, Found::NoHandler), "{} is lost at {:?}", asked, all);
        }
    }
}

#[tokio::test]
async fn a_route_whose_requests_would_be_lost_is_refused() {
    let lost = |routes: &[&str]| {
        let routes: Vec<Route> = routes.iter().map(|route| route.parse().unwrap()).collect();
        let refused = Gateway::new().reserve_all(&routes);
        refused
            .into_iter()
            .map(|(at, why)| (at, why.reason))
            .collect::<Vec<_>>()
    };
    let why = "some of its requests would be lost at `GET /{a}.png/x`".to_owned();
    assert_eq!(lost(&["GET /{a}.png/x", "GET /{a}/y"]), [(1, why.clone())]);
    assert_eq!(lost(&["GET /{a}/y", "GET /{a}.png/x"]), [(0, why)]);
    assert_eq!(lost(&["GET /{a}.png/{b}", "GET /{a}/{*b}"]).len(), 1);
    for fine in [
        &["GET /{a}.png/x", "GET /{a}/x"][..],
        &["GET /{a}.png/x", "GET /{a}/y", "GET /{a}.png/y"],
        &["GET /{a}.png/{b}", "GET /{a}/y"],
        &["GET /{a}.png/{*b}", "GET /{a}/{*b}"],
        &["GET /{a}.png", "GET /{a}/y"],
        &["GET /{a}.png/x", "GET /{a}"],
        &["GET /{a}.png/x", "POST /{a}/y"],
    ] {
        assert_eq!(lost(fine), [], "{fine:?}");
    }
}
