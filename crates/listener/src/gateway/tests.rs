use super::*;
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
    gateway.mount(&route, Arc::new(Echo(name))).unwrap()
}

async fn ask(gateway: &Gateway, method: &str, path: &str) -> Response {
    let request = Request::builder().method(method).uri(path);
    let request = request.body(Body::empty()).unwrap();
    gateway.router().oneshot(request).await.unwrap()
}

async fn said(gateway: &Gateway, method: &str, path: &str) -> String {
    let response = ask(gateway, method, path).await;
    assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
    let body = to_bytes(response.into_body(), 1 << 16).await.unwrap();
    String::from_utf8(body.to_vec()).unwrap()
}

fn allowed(response: &Response) -> &str {
    response.headers()[header::ALLOW].to_str().unwrap()
}

#[tokio::test]
async fn routes_come_and_go_while_it_serves() {
    let gateway = Gateway::new();
    assert_eq!(ask(&gateway, "GET", "/a").await.status(), 404);
    let a = mount(&gateway, "GET /a", "a");
    let _b = mount(&gateway, "GET /b", "b");
    assert_eq!(said(&gateway, "GET", "/a?x=1").await, "a []");
    drop(a);
    assert_eq!(ask(&gateway, "GET", "/a").await.status(), 404);
    assert_eq!(said(&gateway, "GET", "/b").await, "b []");
    let _again = mount(&gateway, "GET /a", "again");
    assert_eq!(said(&gateway, "GET", "/a").await, "again []");
}

#[tokio::test]
async fn in_a_drain_no_route_is_said_to_be_unknown() {
    let gateway = Gateway::new();
    let route = mount(&gateway, "POST /a", "a");
    gateway.drain();
    assert_eq!(ask(&gateway, "POST", "/a").await.status(), 503);
    drop(route);
    assert_eq!(ask(&gateway, "POST", "/a").await.status(), 503);
}

#[tokio::test]
async fn parameters_are_decoded_once() {
    let gateway = Gateway::new();
    let _one = mount(&gateway, "POST /x/{a}/{b}.jpg", "one");
    let _rest = mount(&gateway, "POST /files/{*rest}", "rest");
    let twice = said(&gateway, "POST", "/x/a%2Fb/%2541.jpg").await;
    assert_eq!(twice, r#"one [("a", "a/b"), ("b", "%41")]"#);
    let rest = said(&gateway, "POST", "/files/a/b%20c").await;
    assert_eq!(rest, r#"rest [("rest", "a/b c")]"#);
    assert_eq!(ask(&gateway, "POST", "/x/%FF/a.jpg").await.status(), 400);
}

#[tokio::test]
async fn the_exact_route_wins_and_methods_keep_apart() {
    let gateway = Gateway::new();
    let _id = mount(&gateway, "GET /orders/{id}", "id");
    let _new = mount(&gateway, "GET /orders/new", "new");
    let _post = mount(&gateway, "POST /orders/{number}", "post");
    assert_eq!(said(&gateway, "GET", "/orders/new").await, "new []");
    assert_eq!(
        said(&gateway, "GET", "/orders/7").await,
        r#"id [("id", "7")]"#
    );
    let post = said(&gateway, "POST", "/orders/7").await;
    assert_eq!(post, r#"post [("number", "7")]"#);
}

#[tokio::test]
async fn other_methods_are_told_what_there_is() {
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
async fn a_look_runs_nothing() {
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
    let taken = gateway
        .mount(&route, Arc::new(Echo("second")))
        .err()
        .unwrap();
    assert_eq!(taken.reason, "`GET /orders/{id}` is there already");
    assert!(
        said(&gateway, "GET", "/orders/7")
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
    let guard = gateway.mount(&route, slow.clone()).unwrap();
    let unmounts = async {
        slow.began.notified().await;
        drop(guard);
        slow.go_on.notify_one();
    };
    let (answer, ()) = tokio::join!(said(&gateway, "GET", "/slow"), unmounts);
    assert_eq!(answer, "done");
}

/// Routes that share prefixes, parameters and methods.
const ROUTES: [&str; 9] = [
    "GET /",
    "GET /orders",
    "GET /orders/{id}",
    "GET /orders/{id}/lines",
    "GET /orders/{number}/lines/{line}",
    "GET /{*rest}",
    "GET /ord{x}",
    "POST /orders/{id}",
    "POST /{any}/{id}",
];

const PATHS: [&str; 8] = [
    "/",
    "/orders",
    "/orders/7",
    "/orders/7/lines",
    "/orders/7/lines/8",
    "/ordinal",
    "/x/y",
    "/orders/7/lines/8/9",
];

fn params(gateway: &Gateway, method: &Method, path: &str) -> Option<Vec<(String, String)>> {
    match gateway.find(method, path) {
        Found::Handler(_, params) => Some(params),
        Found::NotText | Found::Draining | Found::Others(_) => None,
    }
}

proptest! {
    /// However routes came and went, the gateway is as if only those that are left had ever been there.
    #[test]
    fn what_was_unmounted_leaves_no_trace(
        toggles in prop::collection::vec(0..ROUTES.len(), 0..40)
    ) {
        let gateway = Gateway::new();
        let mut mounts: HashMap<usize, Mount> = HashMap::new();
        for index in toggles {
            if mounts.remove(&index).is_none() {
                let route = ROUTES[index].parse().unwrap();
                if let Ok(mount) = gateway.mount(&route, Arc::new(Echo("any"))) {
                    mounts.insert(index, mount);
                }
            }
        }
        let fresh = Gateway::new();
        let _fresh_mounts: Vec<_> =
            mounts.keys().map(|index| mount(&fresh, ROUTES[*index], "any")).collect();
        for path in PATHS {
            for method in [Method::GET, Method::POST] {
                let (old, new) = (params(&gateway, &method, path), params(&fresh, &method, path));
                prop_assert_eq!(old, new, "{} {}", method, path);
            }
        }
    }
}
