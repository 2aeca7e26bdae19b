//! Security token services for tests: moto and MinIO as they are, and one whose answers a test sets.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::{DateTime, DateTimeFormat};
use axum::Router;
use axum::routing::post;
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::{canary, skipped};

/// A service with IAM, STS and S3, and a key that may do as much as a hub's should.
pub struct Sts {
    /// Where it is.
    pub endpoint: String,
    /// The hub's key there.
    pub access_key: String,
    /// Its secret.
    pub secret_key: String,
    /// The role's name, where the service wants one.
    pub arn: Option<String>,
}

/// A service that gives credentials for a short time to every caller.
pub struct ScriptedSts {
    /// Where it is.
    pub endpoint: String,
    given: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

/// A client of an S3 store with any keys; a session token makes them temporary ones.
pub fn s3_client(endpoint: &str, access: &str, secret: &str, token: Option<&str>) -> Client {
    let token = token.map(str::to_owned);
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::v2026_01_12())
        .endpoint_url(endpoint)
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new(access, secret, token, None, "test"))
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        .force_path_style(true)
        .build();
    Client::from_conf(config)
}

fn named(variable: &str) -> Option<String> {
    std::env::var(variable)
        .ok()
        .filter(|value| !value.is_empty())
}

// === impl Sts ===

impl Sts {
    /// The shared moto, with a user that may take on one role, which has this policy. From now on it enforces them.
    /// `None` was reported as skipped.
    pub async fn moto(test: &str, policy: &Value) -> Option<Self> {
        let Some(endpoint) = named("TRIPLINE_TEST_STS_ENDPOINT") else {
            let reason = "no STS: TRIPLINE_TEST_STS_ENDPOINT is not set (run `cargo xtask test`)";
            skipped(test, reason);
            return None;
        };
        // An earlier test run may have left it enforcing.
        enforce(&endpoint, false).await;
        let name = format!("hub-{}", std::process::id());
        let trust = statement(json!({
            "Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole",
        }));
        let may_assume = statement(json!({
            "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": "*",
        }));
        let (trust, may_assume, policy) = (
            trust.to_string(),
            may_assume.to_string(),
            policy.to_string(),
        );
        iam(&endpoint, "CreateUser", &[("UserName", &name)]).await;
        let user = [
            ("UserName", &*name),
            ("PolicyName", "own"),
            ("PolicyDocument", &may_assume),
        ];
        iam(&endpoint, "PutUserPolicy", &user).await;
        let key = iam(&endpoint, "CreateAccessKey", &[("UserName", &name)]).await;
        let role = [("RoleName", &*name), ("AssumeRolePolicyDocument", &trust)];
        let role = iam(&endpoint, "CreateRole", &role).await;
        let own = [
            ("RoleName", &*name),
            ("PolicyName", "own"),
            ("PolicyDocument", &policy),
        ];
        iam(&endpoint, "PutRolePolicy", &own).await;
        Some(Self {
            access_key: element(&key, "AccessKeyId"),
            secret_key: element(&key, "SecretAccessKey"),
            arn: Some(element(&role, "Arn")),
            endpoint,
        })
    }

    /// From here on moto checks every request against the policies.
    pub async fn enforce(&self) {
        enforce(&self.endpoint, true).await;
    }

    /// The shared MinIO. `None` was reported as skipped.
    pub fn minio(test: &str) -> Option<Self> {
        let found = (
            named("TRIPLINE_TEST_MINIO_ENDPOINT"),
            named("TRIPLINE_TEST_MINIO_ACCESS_KEY"),
            named("TRIPLINE_TEST_MINIO_SECRET_KEY"),
        );
        let (Some(endpoint), Some(access_key), Some(secret_key)) = found else {
            skipped(test, "no MinIO: TRIPLINE_TEST_MINIO_ENDPOINT is not set");
            return None;
        };
        Some(Self {
            endpoint,
            access_key,
            secret_key,
            arn: None,
        })
    }

    /// The S3 store beside it, with the hub's key.
    pub fn store(&self) -> Client {
        s3_client(&self.endpoint, &self.access_key, &self.secret_key, None)
    }
}

/// An IAM policy of one statement.
fn statement(statement: Value) -> Value {
    json!({"Version": "2012-10-17", "Statement": [statement]})
}

/// A policy that allows one action on one resource.
pub fn allow(action: &str, resource: &str) -> Value {
    statement(json!({"Effect": "Allow", "Action": action, "Resource": resource}))
}

async fn enforce(endpoint: &str, enforced: bool) {
    let unchecked = if enforced { "0" } else { "inf" };
    let url = format!("{endpoint}/moto-api/reset-auth");
    let request = client().post(url).header(CONTENT_TYPE, "text/plain");
    let answer = request.body(unchecked).send().await.expect("moto answers");
    assert!(answer.status().is_success(), "{answer:?}");
}

/// One call of IAM's query API.
async fn iam(endpoint: &str, action: &str, parameters: &[(&str, &str)]) -> String {
    let mut url = reqwest::Url::parse(endpoint).expect("an endpoint is a URL");
    let all = [("Action", action), ("Version", "2010-05-08")];
    url.query_pairs_mut()
        .extend_pairs(all.iter().chain(parameters));
    let body = url.query().unwrap_or_default().to_owned();
    url.set_query(None);
    // The signature's scope shows which service is meant.
    let scope = "AWS4-HMAC-SHA256 Credential=setup/20260101/us-east-1/iam/aws4_request, SignedHeaders=host, Signature=0";
    let request = client().post(url).header(AUTHORIZATION, scope);
    let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded");
    let answer = request.body(body).send().await.expect("moto answers");
    let (status, text) = (answer.status(), answer.text().await.expect("it is text"));
    assert!(status.is_success(), "{action}: {text}");
    text
}

/// A client that goes to the service directly, whatever the environment says of proxies.
pub(crate) fn client() -> reqwest::Client {
    // An error only says that another test has installed it already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let builder = reqwest::Client::builder().no_proxy();
    builder.build().expect("a client can be made")
}

fn element(xml: &str, name: &str) -> String {
    let text = xml
        .split_once(&format!("<{name}>"))
        .and_then(|(_, rest)| rest.split_once("</"));
    text.unwrap_or_else(|| panic!("no {name} in {xml}"))
        .0
        .to_owned()
}

// === impl ScriptedSts ===

impl ScriptedSts {
    /// Gives credentials `KEY1`, `KEY2` and so on, each valid for `life` and with a canary as its secret and its token.
    pub async fn start(life: Duration) -> Self {
        let given = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&given);
        let give = move || {
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            std::future::ready(keys(number, life))
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let mut server = JoinSet::new();
        let app = Router::new().route("/", post(give));
        server.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        Self {
            endpoint: format!("http://{address}"),
            given,
            _server: server,
        }
    }

    /// How many credentials it gave so far.
    pub fn given(&self) -> usize {
        self.given.load(Ordering::SeqCst)
    }
}

/// The answer with these credentials.
#[allow(
    clippy::disallowed_methods,
    reason = "the hub under test goes by the real time"
)]
fn keys(number: usize, life: Duration) -> String {
    let end = DateTime::from(SystemTime::now() + life);
    let end = end.fmt(DateTimeFormat::DateTime).expect("it is a date");
    format!(
        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>KEY{number}</AccessKeyId>\
         <SecretAccessKey>secret {number} {}</SecretAccessKey><SessionToken>token {number} {}</SessionToken>\
         <Expiration>{end}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>",
        canary("sts-secret"),
        canary("sts-token"),
    )
}
