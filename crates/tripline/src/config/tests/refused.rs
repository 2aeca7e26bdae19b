//! What a check refuses because a hub could not serve it, and what its report does not show.

use tripline_listener::{Gateway, Route};

use super::{read, report};
use crate::config::{http_function, program};

#[test]
fn two_triggers_cannot_share_a_route() {
    let found = report(
        r#"
[functions.f]
command = ["true"]
[triggers.a]
kind = "http"
function = "f"
route = "POST /x/{id}"
auth = "none"
[triggers.b]
kind = "http"
function = "f"
route = "POST /x/{name}"
auth = "none"
"#,
    );
    assert!(
        found.contains("takes the same requests as `POST /x/{id}` of trigger `a`"),
        "{found}"
    );
    assert!(found.contains("tripline.toml:12:9"), "{found}");
}

#[test]
fn routes_are_had_as_the_gateway_has_them() {
    let with = |first: &str, second: &str| {
        let trigger = |name: &str, route: &str| {
            format!(
                "[triggers.{name}]\nkind = 'http'\nfunction = 'f'\nroute = '{route}'\nauth = 'none'\n"
            )
        };
        read(&format!(
            "[functions.f]\ncommand = ['true']\n{}{}",
            trigger("a", first),
            trigger("b", second)
        ))
    };
    for (one, other) in [
        ("GET /p{b}/y", "GET /{a}/x"),
        ("GET /{a}.png/x", "GET /{a}/x"),
    ] {
        for config in [with(one, other), with(other, one)] {
            let config = config.unwrap_or_else(|errors| panic!("{errors}"));
            let routes = config.triggers.iter().map(|one| one.trigger.routes());
            let routes: Vec<Route> = routes.flatten().collect();
            assert_eq!(Gateway::new().reserve_all(&routes), []);
        }
    }
    for (first, second, line, words) in [
        (
            "GET /x",
            "GET /x",
            11,
            "takes the same requests as `GET /x` of trigger `a`",
        ),
        (
            "GET /p{a}",
            "GET /{a}.png",
            6,
            "the router cannot hold it beside `GET /{a}.png` of trigger `b`",
        ),
        (
            "GET /p{a}.png",
            "GET /{a}.jpg",
            6,
            "the router cannot hold it beside `GET /{a}.jpg` of trigger `b`",
        ),
        (
            "GET /{a}.png/x",
            "GET /{a}/y",
            11,
            "lost at `GET /{a}.png/x` of trigger `a`",
        ),
        (
            "GET /{a}/y",
            "GET /{a}.png/x",
            6,
            "lost at `GET /{a}.png/x` of trigger `b`",
        ),
    ] {
        let found = with(first, second).err().expect(first).to_string();
        assert!(found.contains(words), "{found}");
        assert!(
            found.contains(&format!("tripline.toml:{line}:9")),
            "{found}"
        );
        assert!(found.contains("1 error in"), "{found}");
    }
}

#[test]
fn what_the_router_cannot_hold_is_told_how_to_be_had() {
    let with = |first: &str, second: &str| {
        let trigger = |name: &str, route: &str| {
            format!(
                "[triggers.{name}]\nkind = 'http'\nfunction = 'f'\nroute = 'GET {route}'\nauth = 'none'\n"
            )
        };
        let (a, b) = (trigger("a", first), trigger("b", second));
        read(&format!("[functions.f]\ncommand = ['true']\n{a}{b}"))
    };
    for (first, second) in [
        ("/p{a}", "/{a}.png"),
        ("/p{a}.png", "/{a}.jpg"),
        ("/p{a}.png", "/p{a}"),
        ("/{a}", "/{*a}"),
    ] {
        let found = with(first, second).err().expect(first).to_string();
        assert!(found.contains("cannot hold it beside"), "{found}");
        assert!(found.contains("a segment of its own"), "{found}");
    }
    for (first, second) in [("/{a}", "/{b}"), ("/{a}.png/x", "/{a}/y")] {
        let found = with(first, second).err().expect(first).to_string();
        assert!(!found.contains("a segment of its own"), "{found}");
    }
    // What the help advises.
    for (first, second) in [
        ("/p/{a}", "/{a}.png"),
        ("/p/{a}.png", "/{a}.jpg"),
        ("/x/{a}", "/{*a}"),
        ("/pq{a}", "/p{a}"),
        ("/{a}.gz", "/{a}.tar.gz"),
        ("/p{a}.png", "/{a}"),
        ("/p{*a}", "/{*a}"),
    ] {
        with(first, second).unwrap_or_else(|errors| panic!("{errors}"));
    }
}

#[test]
fn what_could_not_be_served_is_found_by_a_check() {
    let program = "[functions.f]\ncommand = ['true']\n";
    let http = "[functions.f]\nruntime = 'http'\n";
    let keys = "access_key = { env = 'A' }, secret_key = { env = 'S' }";
    let not_a_url = "this is not a URL to post to";
    for (text, words) in [
        (format!("{http}url = 'http://h:99999/x'"), not_a_url),
        (format!("{http}url = 'http://h:0/x'"), not_a_url),
        (
            format!("{http}url = 'http://h/'\nheaders = {{ a = \"x\\ny\" }}"),
            "this is not a value for a header",
        ),
        (
            "[traces]\nendpoint = 'http://h:99999/'".to_owned(),
            not_a_url,
        ),
        (
            "[traces]\nendpoint = 'http://h/'\nheaders = { 'bad name' = 'x' }".to_owned(),
            "is not a name for a header",
        ),
        (
            "[traces]\nendpoint = 'http://h/'\nheaders = { content-type = 'x' }".to_owned(),
            "this header is set by the hub",
        ),
        (
            format!("{program}role = {{ sts = 'http://h:99999', {keys} }}"),
            not_a_url,
        ),
        (
            format!("{program}role = {{ sts = 'http://h', region = 'a b', {keys} }}"),
            "this is not a region",
        ),
        (
            "[functions.f]\ncommand = ['true', \"a\\u0000b\"]".to_owned(),
            "no argument can hold a zero byte",
        ),
        (
            format!("{program}env = {{ A = \"a\\u0000b\" }}"),
            "no variable can hold a zero byte",
        ),
        (
            format!("{program}env = {{ '' = 'x' }}"),
            "`` is not a name for a variable",
        ),
        (
            format!("{program}env = {{ A = {{ file = 'x', foo = 'y' }} }}"),
            "unknown key `foo`",
        ),
        ("[hub]\nmax_event = '0B'".to_owned(), "no event is as small"),
        (
            "[hub]\nmax_queued = 0".to_owned(),
            "no event could be accepted",
        ),
        (
            format!("{program}max_queued = 0"),
            "no event could be accepted",
        ),
        (
            format!("{program}max_event_age = '0s'"),
            "too old to be started",
        ),
    ] {
        let found = report(&text);
        assert!(found.contains(words), "no {words:?} in\n{found}");
        assert!(found.contains("1 error in"), "{found}");
    }
}

#[test]
fn the_admin_api_is_called_by_hosts() {
    let with = |host: &str| read(&format!("[admin]\nhosts = ['hub.example.com', '{host}']"));
    for good in ["hub", "10.0.0.5", "::1", "[::1]"] {
        with(good).unwrap_or_else(|errors| panic!("{errors}"));
    }
    for wrong in [
        "",
        "hub.example.com:8081",
        "https://hub.example.com",
        "10.0.0.5:80",
        "u@hub",
    ] {
        let found = with(wrong).err().expect(wrong).to_string();
        assert!(
            found.contains("neither a host's name nor an address"),
            "{found}"
        );
        assert!(found.contains("without a user, port or scheme"), "{found}");
    }
}

#[test]
fn no_report_shows_a_secret() {
    let function = "[functions.f]\nruntime = 'http'\nurl = 'http://h/'\n";
    let program = "[functions.f]\ncommand = ['true']\n";
    let trigger = "[functions.f]\ncommand = ['true']\n[triggers.t]\nfunction = 'f'\n";
    for text in [
        format!("{trigger}kind = 'http'\nroute = 'POST /'\nauth = {{ baerer = 'hunter2' }}"),
        format!("{trigger}kind = 's3'\nacces_key = 'hunter2'\nsecrt_key = 'hunter2'"),
        format!("{trigger}kind = 's3'\nendpoint = 'http://u:hunter2@h/'"),
        format!("{trigger}kind = 'kafka'\ntopics = ['t']\n'sasl.pasword' = 'hunter2'"),
        format!("{function}headers = {{ authorization = 'Bearer hunter2', 'x y' = 'x' }}"),
        format!(
            "{program}env = {{ DB = 'postgres://u:hunter2@db/x', P = 'hunter2', 'B-D' = 'x' }}"
        ),
        format!("{program}evn = {{ P = 'hunter2' }}"),
        format!("{program}role = {{ sts = 'http://u:hunter2@h', acces_key = 'hunter2' }}"),
        "[functions.f]\nruntime = 'http'\nurl = 'http://u:hunter2@host/x'".to_owned(),
        "[admin]\nhosts = ['https://u:hunter2@hub']".to_owned(),
        "[admin]\nlisten = 'https://u:hunter2@hub:80'".to_owned(),
        "[hub]\nlog = 'https://u:hunter2@hub'".to_owned(),
    ] {
        let found = report(&text);
        assert!(found.contains("***"), "{found}");
        assert!(!found.contains("hunter2"), "{found}");
    }
}

#[test]
fn no_endpoint_is_where_clouds_keep_their_metadata() {
    let refused = |address: &str| {
        let role = r#"{ sts = "URL", access_key = { env = "A" }, secret_key = { env = "B" } }"#;
        let text = format!(
            "[functions.a]\ncommand = [\"true\"]\nrole = {role}\n[traces]\nendpoint = \"URL\"\n"
        );
        let found = read(&text.replace("URL", address)).err();
        found.map(|errors| errors.to_string().matches("no endpoint is there").count())
    };
    for bad in [
        "http://169.254.169.254",
        "http://2852039166/latest",
        "http://0xa9.254.169.254.",
        "https://[fd00:ec2::254]",
        "http://[::ffff:169.254.169.254]",
    ] {
        assert_eq!(refused(bad), Some(2), "{bad}");
    }
    for good in [
        "http://10.0.0.1:9000",
        "http://localhost",
        "http://[fd00::1]",
    ] {
        assert_eq!(refused(good), None, "{good}");
    }
}

/// What is told to who writes such a key for another runtime would be wrong of one that nobody reads.
#[test]
fn every_key_that_is_refused_for_a_runtime_is_read_for_another() {
    let of_workers = program::KEYS.iter().chain(&program::WORKER_KEYS);
    let of_workers = of_workers.map(|key| (key, "worker"));
    let of_http = http_function::KEYS.iter().map(|key| (key, "http"));
    for (key, runtime) in of_workers.chain(of_http) {
        let found = report(&format!(
            "[functions.f]\nruntime = '{runtime}'\n{key} = 1979-05-27\n"
        ));
        let unknown = format!("unknown key `{key}`");
        assert!(
            !found.contains(&unknown) && !found.contains("means nothing"),
            "{found}"
        );
    }
}
