//! A MinIO of one test's own, and before it a service that gives MinIO's own credentials for seconds. AssumeRole gives
//! them for 15 minutes at least; those for a web identity end with its token, so the token is made here.

use std::fs::File;
use std::process::{Child, Command};
use std::time::{Duration, SystemTime};

use aws_sdk_s3::Client;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::sts::{client, s3_client};
use crate::{eventually, skipped};

const ID: &str = "hub";
const SECRET: &str = "secret-of-the-identity-provider";
const ROOT: [&str; 2] = ["tripline-test", "tripline-test-secret"];

/// Gives real credentials of a real store, for a short time.
pub struct ShortSts {
    /// Where credentials are given.
    pub endpoint: String,
    /// Where they are good for.
    pub store_endpoint: String,
    /// The store, with all rights.
    pub store: Client,
    minio: Child,
    _server: JoinSet<()>,
    _folder: TempDir,
}

// === impl ShortSts ===

impl ShortSts {
    /// Starts both, if there is a `minio` on `PATH`; `None` was reported as skipped.
    pub async fn start(test: &str, life: Duration) -> Option<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let endpoint = format!("http://{}", listener.local_addr().expect("it is bound"));
        let address = free_address().await;
        let store_endpoint = format!("http://{address}");
        let folder = tempfile::tempdir().expect("there is room for a folder");
        let log = File::create(folder.path().join("log")).expect("the folder is ours");
        let started = Command::new("minio")
            .args(["server", "--address", &address])
            .arg(folder.path().join("data"))
            .env("MINIO_ROOT_USER", ROOT[0])
            .env("MINIO_ROOT_PASSWORD", ROOT[1])
            .env("MINIO_CI_CD", "1")
            .env("MINIO_BROWSER", "off")
            .env("MINIO_UPDATE", "off")
            .env(
                "MINIO_IDENTITY_OPENID_CONFIG_URL",
                format!("{endpoint}/config"),
            )
            .env("MINIO_IDENTITY_OPENID_CLIENT_ID", ID)
            .env("MINIO_IDENTITY_OPENID_CLIENT_SECRET", SECRET)
            .stdout(log.try_clone().expect("a file can be cloned"))
            .stderr(log)
            .spawn();
        let Ok(minio) = started else {
            skipped(test, "no minio on PATH");
            return None;
        };
        let mut server = JoinSet::new();
        let app = app(endpoint.clone(), store_endpoint.clone(), life);
        server.spawn(async move { axum::serve(listener, app).await.expect("it serves") });
        let short = Self {
            store: s3_client(&store_endpoint, ROOT[0], ROOT[1], None),
            endpoint,
            store_endpoint,
            minio,
            _server: server,
            _folder: folder,
        };
        eventually("MinIO gives credentials", async || {
            let answer = client().post(&short.endpoint).send().await.ok()?;
            answer
                .text()
                .await
                .ok()?
                .contains("AccessKeyId")
                .then_some(())
        })
        .await;
        Some(short)
    }
}

impl Drop for ShortSts {
    fn drop(&mut self) {
        let _already_gone = self.minio.kill();
        let _status = self.minio.wait();
    }
}

/// An identity provider as far as MinIO looks, and AssumeRole as far as the hub does.
fn app(own: String, store: String, life: Duration) -> Router {
    let issuer = own.clone();
    let config = json!({"issuer": own, "jwks_uri": format!("{own}/jwks")});
    let assume_role = async move || {
        let form = format!(
            "Action=AssumeRoleWithWebIdentity&Version=2011-06-15&WebIdentityToken={}",
            token(&issuer, life)
        );
        let kind = "application/x-www-form-urlencoded";
        let request = client()
            .post(&store)
            .header("content-type", kind)
            .body(form);
        let text = match request.send().await {
            Ok(answer) => answer.text().await.unwrap_or_default(),
            Err(error) => error.to_string(),
        };
        text.replace("AssumeRoleWithWebIdentity", "AssumeRole")
    };
    Router::new()
        .route("/config", get(Json(config)))
        .route("/jwks", get(Json(json!({"keys": []}))))
        .route("/", post(assume_role))
}

/// A token for somebody who may do everything, signed as MinIO expects of a client with a secret.
#[allow(clippy::disallowed_methods, reason = "MinIO goes by the real time")]
fn token(issuer: &str, life: Duration) -> String {
    let end = (SystemTime::now() + life).duration_since(SystemTime::UNIX_EPOCH);
    let end = end.expect("it is after 1970").as_secs();
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let head = part(json!({"alg": "HS256", "typ": "JWT", "kid": ID}));
    let claims =
        json!({"sub": "robot", "aud": ID, "iss": issuer, "exp": end, "policy": "readwrite"});
    let signed = format!("{head}.{}", part(claims));
    let signature = URL_SAFE_NO_PAD.encode(hmac(SECRET, &signed));
    format!("{signed}.{signature}")
}

/// HMAC-SHA256 with a key of at most 64 bytes.
fn hmac(key: &str, text: &str) -> Vec<u8> {
    let mut block = [0; 64];
    block[..key.len()].copy_from_slice(key.as_bytes());
    let inner = Sha256::new()
        .chain_update(block.map(|byte| byte ^ 0x36))
        .chain_update(text);
    let outer = Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c));
    outer.chain_update(inner.finalize()).finalize().to_vec()
}

async fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    listener.local_addr().expect("it is bound").to_string()
}
