use super::*;
use proptest::prelude::*;

fn route(text: &str) -> Route {
    text.parse().expect(text)
}

#[test]
fn routes_are_read() {
    for good in [
        "GET /",
        "POST /orders/{id}",
        "PUT /files/{name}.jpg",
        "DELETE /a/{b}/c/{d}",
        "PATCH /all/{*rest}",
        "POST /caf%C3%A9/{{literal}}",
    ] {
        assert_eq!(route(good).to_string(), good);
    }
    assert_eq!(route("  POST   /a ").to_string(), "POST /a");
}

#[test]
fn every_mistake_has_its_own_message() {
    let long = format!("GET /{}", "a".repeat(MAX_PATH_BYTES));
    let crowd: String = (0..=MAX_PARAMETERS).map(|n| format!("/{{p{n}}}")).collect();
    let (crowd, one_segment) = (format!("GET {crowd}"), format!("GET /{}", "{a}".repeat(40)));
    for (text, error) in [
        ("", InvalidRoute::Form),
        ("/orders", InvalidRoute::Form),
        ("post /orders", InvalidRoute::Method("post".to_owned())),
        ("HEAD /orders", InvalidRoute::Method("HEAD".to_owned())),
        ("GET orders", InvalidRoute::NotAbsolute),
        ("GET http://host/orders", InvalidRoute::NotAbsolute),
        (long.as_str(), InvalidRoute::TooLong),
        (crowd.as_str(), InvalidRoute::TooMany),
        (one_segment.as_str(), InvalidRoute::TooMany),
        ("GET /a?b=c", InvalidRoute::Beyond('?')),
        ("GET /a#b", InvalidRoute::Beyond('#')),
        ("GET /café", InvalidRoute::Character('é')),
        ("GET /a b", InvalidRoute::Character(' ')),
        ("GET /a\u{1b}[31m", InvalidRoute::Character('\u{1b}')),
        ("GET /{}", InvalidRoute::Parameter),
        ("GET /{a", InvalidRoute::Parameter),
        ("GET /a}", InvalidRoute::Parameter),
        ("GET /{a}{b}", InvalidRoute::TwoInSegment),
        ("GET /{*a}/b", InvalidRoute::CatchAll),
        ("GET /{a}/{a}", InvalidRoute::Twice("a".to_owned())),
        ("GET /{a}/x{{/{*a}", InvalidRoute::Twice("a".to_owned())),
    ] {
        assert_eq!(text.parse::<Route>(), Err(error), "{text}");
    }
}

#[test]
fn a_path_has_as_many_parameters_as_are_allowed() {
    let most: String = (0..MAX_PARAMETERS).map(|n| format!("/{{p{n}}}")).collect();
    let most = route(&format!("GET {most}/{{{{{{{{plain"));
    assert!(most.conflicts(&most));
}

#[test]
fn conflicts_go_both_ways() {
    for (one, other, conflict) in [
        ("GET /a", "GET /a", true),
        ("GET /a", "POST /a", false),
        ("GET /{a}", "GET /{b}", true),
        ("GET /{a}/x", "GET /{b}/x", true),
        ("GET /{a}/x", "GET /{b}/y", false),
        ("GET /{*a}", "GET /{*b}", true),
        // The more exact one wins: no conflict.
        ("GET /orders/new", "GET /orders/{id}", false),
        ("GET /a", "GET /a/", false),
        ("GET /p{a}/y", "GET /{a}/x", false),
        ("GET /orders/p{a}", "GET /{a}/x", false),
        ("GET /orders/p{a}", "GET /{a}.png", false),
        ("GET /p{a}", "GET /pq{a}/x", false),
        ("GET /{a}.png", "GET /{a}.jpg", false),
        // `/pa.png` is for either.
        ("GET /p{a}", "GET /{a}.png", true),
    ] {
        let (one, other) = (route(one), route(other));
        assert_eq!(one.conflicts(&other), conflict, "{one} and {other}");
        assert_eq!(other.conflicts(&one), conflict, "{other} and {one}");
    }
}

/// Paths of which many conflict, with texts before and after parameters.
const PATH: &str = "(/[ab]|/[ab]?\\{[ab]\\}(\\.[st]){0,2}){1,3}(/\\{\\*c\\}|/)?";

proptest! {
    /// Whatever parses can be mounted, and parses again from how it is displayed.
    #[test]
    fn what_is_read_can_be_printed_and_mounted(path in "/[a-z{}*/%?é]{0,12}") {
        if let Ok(route) = format!("GET {path}").parse::<Route>() {
            prop_assert_eq!(route.to_string().parse(), Ok(route.clone()));
            prop_assert!(matchit::Router::new().insert(route.path.as_str(), ()).is_ok());
            prop_assert!(route.conflicts(&route));
        }
    }

    /// Comparing plain segments first only saves work: the router finds the same, in the better of the two orders.
    #[test]
    fn a_conflict_is_what_the_router_calls_one(one in PATH, other in PATH) {
        let routes = [&one, &other].map(|path| format!("GET {path}").parse::<Route>());
        if let [Ok(first), Ok(second)] = &routes {
            let refuses = |first: &Route, second: &Route| {
                let mut both = matchit::Router::new();
                both.insert(first.path.as_str(), ()).expect("it is the first");
                both.insert(second.path.as_str(), ()).is_err()
            };
            let never = refuses(first, second) && refuses(second, first);
            prop_assert_eq!(first.conflicts(second), never);
            prop_assert_eq!(second.conflicts(first), never);
        }
    }
}
