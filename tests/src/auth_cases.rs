//! Requests that must not be let in: with invalid credentials, and with other spellings of a path. The tests of the
//! admin API use this file, too.

/// Headers that must be refused, each list with a name. `token` is the right token; `other` is one for something else.
pub fn no_credentials(
    token: &str,
    other: &str,
) -> Vec<(&'static str, Vec<(&'static str, String)>)> {
    let bearer = |token: &str| ("authorization", format!("Bearer {token}"));
    let raw = |value: &str| ("authorization", value.to_owned());
    vec![
        ("none", vec![]),
        ("wrong", vec![bearer("wrong")]),
        ("of something else", vec![bearer(other)]),
        ("with a byte behind it", vec![bearer(&format!("{token}x"))]),
        (
            "without its last byte",
            vec![bearer(&token[..token.len() - 1])],
        ),
        ("in capitals", vec![bearer(&token.to_uppercase())]),
        (
            "percent-encoded",
            vec![bearer(&token.replace('t', "%74").replace('s', "%73"))],
        ),
        ("no bytes", vec![bearer("")]),
        ("no token", vec![raw("Bearer")]),
        ("an empty header", vec![raw("")]),
        ("no scheme", vec![raw(token)]),
        ("another scheme", vec![raw(&format!("Basic {token}"))]),
        ("a scheme like it", vec![raw(&format!("Bearers {token}"))]),
        (
            "a scheme without a space",
            vec![raw(&format!("Bearer={token}"))],
        ),
        ("in quotes", vec![bearer(&format!("\"{token}\""))]),
        ("twice", vec![bearer(token), bearer(token)]),
        ("behind a wrong one", vec![bearer("wrong"), bearer(token)]),
        ("before a wrong one", vec![bearer(token), bearer("wrong")]),
        (
            "two in one header",
            vec![bearer(&format!("{token}, Bearer {token}"))],
        ),
        (
            "in a cookie",
            vec![(
                "cookie",
                format!("token={token}; authorization=Bearer {token}"),
            )],
        ),
        (
            "for a proxy",
            vec![("proxy-authorization", format!("Bearer {token}"))],
        ),
        (
            "in headers of others",
            vec![
                ("x-api-key", token.to_owned()),
                ("x-token", token.to_owned()),
            ],
        ),
        (
            "as the user of a proxy",
            vec![
                ("x-forwarded-for", "127.0.0.1".to_owned()),
                ("x-forwarded-user", "admin".to_owned()),
                ("x-original-url", "/healthz".to_owned()),
                ("x-rewrite-url", "/healthz".to_owned()),
                ("x-http-method-override", "GET".to_owned()),
            ],
        ),
    ]
}

/// Request targets that are like `path`, or are `path` with a suffix. Each is sent as it is written; `TOKEN` stands for a
/// token.
pub fn spellings(path: &str) -> Vec<String> {
    let bare = path.trim_start_matches('/');
    let last = path.rfind('/').map_or(0, |at| at + 1);
    let (folder, name) = path.split_at(last);
    let encoded: String = name.bytes().map(|byte| format!("%{byte:02x}")).collect();
    let first = name.chars().next().unwrap_or('a');
    let rest = name.get(first.len_utf8()..).unwrap_or_default();
    let mut all = Vec::new();
    // Suffixes that an exception for health checks might look for.
    for suffix in [
        "/",
        "//",
        "/.",
        "/..",
        "/./",
        "/healthz",
        "/readyz",
        "/health",
        "/ready",
        "/configs",
        "/../healthz",
        "/%2e%2e/healthz",
        "/..%2fhealthz",
        ";x",
        ";/healthz",
        "/;/healthz",
        ".",
        ".json",
        "%20",
        "%09",
        "%00",
        "%00/healthz",
        "%23/healthz",
        "%3f/healthz",
        "%2f",
        "%5c",
        "?x=/healthz",
        "?/healthz",
        "?",
        "#/healthz",
        "\\..\\healthz",
        "~",
        "%ff",
        "%c0%ae",
        "?access_token=TOKEN",
        "?token=TOKEN",
    ] {
        all.push(format!("{path}{suffix}"));
    }
    // Prefixes that a normaliser might remove.
    for prefix in [
        "//",
        "/./",
        "/../",
        "/x/../",
        "/healthz/",
        "/healthz/../",
        "/readyz/../",
        "/%2e/",
        "/%2e%2e/",
        "/healthz/%2e%2e/",
        "/healthz%2f..%2f",
        "/healthz;/",
        "/healthz;/../",
        "/healthz?/../",
        "/healthz/..;/",
        "/%252e%252e/",
        "/..%5c",
        "/healthz%00/",
        "/healthz//",
        "http://localhost/",
        "http://localhost/healthz/../",
        "http://localhost//",
        "//localhost/",
    ] {
        all.push(format!("{prefix}{bare}"));
    }
    all.extend([
        path.to_uppercase(),
        format!("{folder}{}{rest}", first.to_uppercase()),
        format!("{folder}%{:02x}{rest}", u32::from(first)),
        format!("{folder}{encoded}"),
        path.replace('/', "%2f"),
        path.replace('/', "//"),
        path.replace('/', "/./"),
        format!("/{}", bare.replace('/', "%2F")),
        format!("{path}/{}", "a".repeat(8 * 1024)),
        format!("{path}/{}healthz", "../".repeat(1000)),
        format!("{path}?{}", "a=/healthz&".repeat(1000)),
    ]);
    all.retain(|spelling| spelling != path && !is_health(spelling));
    all
}

/// Whether this is a health check whatever it was made from: its query and its fragment, which is never sent, do not
/// matter.
fn is_health(spelling: &str) -> bool {
    let sent = spelling.split(['?', '#']).next().unwrap_or_default();
    let path = sent.strip_prefix("http://localhost").unwrap_or(sent);
    matches!(path, "/healthz" | "/readyz")
}
