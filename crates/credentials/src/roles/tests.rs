//! The real client against a scripted service, over real HTTP.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Form, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tripline_config::Secret;
use tripline_model::{FunctionName, ManualClock, Timestamp};
use tripline_runtime::CredentialProvider;

use crate::{RoleSettings, Roles, StsError};

const ACCESS: &str = "HUB-ACCESS-KEY";
const SECRET: &str = "hub-secret-that-never-leaves";
const HOUR: Duration = Duration::from_secs(3600);

/// What the service answers next.
enum Turn {
    /// Credentials that end at this time.
    Credentials(&'static str),
    /// A refusal that repeats the request's signature.
    Refusal,
    /// An answer of another kind.
    Other(&'static str),
}

#[derive(Default)]
struct Script {
    turns: VecDeque<Turn>,
    asked: Vec<HashMap<String, String>>,
}

struct Sts {
    script: Arc<Mutex<Script>>,
    endpoint: String,
    /// Ends with the test.
    _server: JoinSet<()>,
}

// === impl Sts ===

impl Sts {
    async fn new(turns: impl IntoIterator<Item = Turn>) -> Self {
        let turns = turns.into_iter().collect();
        let asked = Vec::new();
        let script = Arc::new(Mutex::new(Script { turns, asked }));
        let app = Router::new()
            .route("/", post(answer))
            .with_state(Arc::clone(&script));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self {
            script,
            endpoint,
            _server: server,
        }
    }

    fn asked(&self) -> Vec<HashMap<String, String>> {
        self.script.lock().unwrap().asked.clone()
    }

    fn settings(&self) -> RoleSettings {
        RoleSettings {
            endpoint: self.endpoint.clone(),
            region: "eu-central-1".to_owned(),
            access_key: Secret::new(ACCESS),
            secret_key: Secret::new(SECRET),
            arn: None,
            policy: Some(r#"{"Version":"2012-10-17","Statement":[]}"#.to_owned()),
            duration: HOUR,
        }
    }

    fn roles(&self, clock: &Arc<ManualClock>) -> Roles {
        Roles::new(
            [(function("resize"), self.settings())],
            Arc::clone(clock) as _,
        )
        .unwrap()
    }
}

async fn answer(
    State(script): State<Arc<Mutex<Script>>>,
    headers: HeaderMap,
    Form(form): Form<HashMap<String, String>>,
) -> (StatusCode, String) {
    let mut script = script.lock().unwrap();
    script.asked.push(form);
    let number = script.asked.len();
    match script.turns.pop_front().expect("nobody asks more often") {
        Turn::Credentials(end) => (StatusCode::OK, credentials(number, end)),
        Turn::Refusal => {
            let signature = headers["authorization"].to_str().unwrap();
            let error = format!(
                "<ErrorResponse><Error><Code>AccessDenied</Code><Message>no {signature} {SECRET}&#10;&#27;[2J</Message></Error></ErrorResponse>"
            );
            (StatusCode::FORBIDDEN, error)
        }
        Turn::Other(text) => (StatusCode::OK, text.to_owned()),
    }
}

fn credentials(number: usize, end: &str) -> String {
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials>\
         <AccessKeyId>KEY{number}</AccessKeyId><SecretAccessKey>its secret</SecretAccessKey>\
         <SessionToken>its token</SessionToken><Expiration>{end}</Expiration>\
         </Credentials></AssumeRoleResult></AssumeRoleResponse>"
    )
}

fn function(name: &str) -> FunctionName {
    FunctionName::new(name).unwrap()
}

fn noon() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(
        Timestamp::parse("2026-03-01T12:00:00Z").unwrap(),
    ))
}

async fn access_key(roles: &Roles) -> Result<String, String> {
    let credentials = roles.credentials(&function("resize")).await?;
    Ok(credentials.expect("it has a role").access_key)
}

#[tokio::test]
async fn the_service_is_asked_for_what_the_settings_say() {
    let sts = Sts::new([Turn::Credentials("2026-03-01T13:00:00Z")]).await;
    let roles = sts.roles(&noon());
    assert_eq!(roles.credentials(&function("other")).await, Ok(None));
    let credentials = roles
        .credentials(&function("resize"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(credentials.access_key, "KEY1");
    assert_eq!(credentials.secret_key.expose(), "its secret");
    assert_eq!(credentials.session_token.expose(), "its token");
    let end = Timestamp::from_millis(credentials.expires_ms);
    assert_eq!(end.to_string(), "2026-03-01T13:00:00.000Z");
    let asked = &sts.asked()[0];
    assert_eq!(asked["Action"], "AssumeRole");
    assert_eq!(asked["DurationSeconds"], "3600");
    assert_eq!(
        asked["Policy"],
        r#"{"Version":"2012-10-17","Statement":[]}"#
    );
}

#[tokio::test]
async fn keys_are_shared_until_half_of_their_life_is_over() {
    // The service gives half an hour where an hour was asked for: what it gives counts.
    let ends = [
        "2026-03-01T12:30:00Z",
        "2026-03-01T12:45:00Z",
        "2026-03-01T12:15:00Z",
    ];
    let sts = Sts::new(ends.map(Turn::Credentials)).await;
    let clock = noon();
    let roles = sts.roles(&clock);
    assert_eq!(access_key(&roles).await.unwrap(), "KEY1");
    clock.advance(Duration::from_secs(15 * 60 - 1));
    assert_eq!(access_key(&roles).await.unwrap(), "KEY1");
    clock.advance(Duration::from_secs(1));
    assert_eq!(access_key(&roles).await.unwrap(), "KEY2");
    // A clock that was wrong and is set back does not make credentials younger.
    clock.set(Timestamp::parse("2026-03-01T11:00:00Z").unwrap());
    assert_eq!(access_key(&roles).await.unwrap(), "KEY3");
}

#[tokio::test(flavor = "multi_thread")]
async fn many_who_ask_at_once_are_one_question() {
    for turn in [Turn::Credentials("2026-03-01T13:00:00Z"), Turn::Refusal] {
        let sts = Sts::new([turn]).await;
        let roles = Arc::new(sts.roles(&noon()));
        let mut asking = JoinSet::new();
        for _ in 0..20 {
            let roles = Arc::clone(&roles);
            asking.spawn(async move { access_key(&roles).await });
        }
        let answers = asking.join_all().await;
        assert!(
            answers.iter().all(|answer| *answer == answers[0]),
            "{answers:?}"
        );
        assert_eq!(sts.asked().len(), 1);
    }
}

#[tokio::test]
async fn a_refusal_is_shown_without_credentials_and_forgotten_after_a_moment() {
    let sts = Sts::new([Turn::Refusal, Turn::Credentials("2026-03-01T13:00:00Z")]).await;
    let clock = noon();
    let roles = sts.roles(&clock);
    let why = access_key(&roles).await.unwrap_err();
    assert!(
        why.contains(&sts.endpoint) && why.contains("AccessDenied: no "),
        "{why}"
    );
    for hidden in [ACCESS, SECRET] {
        assert!(!why.contains(hidden), "{why}");
    }
    assert!(!why.contains(char::is_control), "{why:?}");
    clock.advance(Duration::from_secs(1));
    assert_eq!(access_key(&roles).await.unwrap(), "KEY2");
}

#[tokio::test]
async fn keys_that_have_ended_are_never_handed_out() {
    for end in [
        "2026-03-01T12:00:00Z",
        "2026-03-01T11:59:59Z",
        "0001-01-01T00:00:00Z",
    ] {
        let sts = Sts::new([Turn::Credentials(end)]).await;
        let why = access_key(&sts.roles(&noon())).await.unwrap_err();
        assert!(why.ends_with("have expired already"), "{end}: {why}");
    }
}

#[tokio::test]
async fn keys_that_live_longer_than_was_asked_for_are_never_handed_out() {
    for end in [
        "2026-03-01T13:15:01Z",
        "2026-03-02T12:00:00Z",
        "9999-12-31T23:59:59Z",
    ] {
        let sts = Sts::new([Turn::Credentials(end)]).await;
        let why = access_key(&sts.roles(&noon())).await.unwrap_err();
        assert!(why.contains("instead of the 60 min"), "{end}: {why}");
    }
}

#[tokio::test]
async fn by_our_clock_keys_end_when_the_asked_time_is_over() {
    // The service's clock is ahead of ours.
    let sts = Sts::new([Turn::Credentials("2026-03-01T13:15:00Z")]).await;
    let roles = sts.roles(&noon());
    let credentials = roles
        .credentials(&function("resize"))
        .await
        .unwrap()
        .unwrap();
    let end = Timestamp::from_millis(credentials.expires_ms);
    assert_eq!(end.to_string(), "2026-03-01T13:00:00.000Z");
}

#[tokio::test]
async fn what_is_no_answer_is_an_error() {
    let empty = "<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>";
    for text in [empty, "<html>welcome</html>", ""] {
        let sts = Sts::new([Turn::Other(text), Turn::Other(text)]).await;
        let why = access_key(&sts.roles(&noon())).await.unwrap_err();
        assert!(
            why.contains("gave no credentials for the role"),
            "{text}: {why}"
        );
    }
    let settings = Sts::new([]).await.settings();
    let roles = Roles::new([(function("resize"), settings)], noon()).unwrap();
    let why = access_key(&roles).await.unwrap_err();
    assert!(
        why.contains("gave no credentials for the role"),
        "nobody there: {why}"
    );
}

#[tokio::test]
async fn what_cannot_stand_in_a_header_is_refused_before_anybody_is_asked() {
    let sts = Sts::new([]).await;
    let access_key = RoleSettings {
        access_key: Secret::new("two\nlines"),
        ..sts.settings()
    };
    let region = RoleSettings {
        region: "wörld".to_owned(),
        ..sts.settings()
    };
    for (settings, named) in [(access_key, "access key"), (region, "region")] {
        let refused = Roles::new([(function("resize"), settings)], noon()).err();
        assert!(matches!(refused, Some(StsError::Unsendable { what }) if what == named));
    }
}
