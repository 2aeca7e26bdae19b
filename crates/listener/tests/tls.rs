//! TLS with the certificate in `tests/tls`, which is good for nothing else.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use support::{Served, read_to_close, read_until, send};
use tokio::io::AsyncWriteExt;
use tokio_rustls::TlsConnector;
use tripline_listener::{ListenError, Listener, ListenerLimits, TlsFiles};

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/tls")
        .join(name)
}

fn files() -> TlsFiles {
    TlsFiles {
        cert: file("localhost.crt"),
        key: file("localhost.key"),
    }
}

async fn served(limits: ListenerLimits) -> Served {
    let app = Router::new().route("/", get(|| async { "hello!" }));
    Served::start_tls(app, limits, Duration::from_secs(10), Some(files())).await
}

#[tokio::test]
async fn requests_go_through_tls() {
    let served = served(ListenerLimits::default()).await;
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(file("localhost.crt")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let host = ServerName::try_from("localhost").unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    let mut stream = connector
        .connect(host, served.connect().await)
        .await
        .unwrap();
    send(&mut stream, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n").await;
    read_until(&mut stream, "hello!").await;
}

#[tokio::test]
async fn a_handshake_that_never_comes_or_stops_half_way_is_cut() {
    let served = served(ListenerLimits {
        header_timeout: Duration::from_millis(100),
        ..ListenerLimits::default()
    })
    .await;
    // Announces 512 bytes.
    let half = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03 and no more";
    for sent in [0, 1, 5, half.len()] {
        let mut stream = served.connect().await;
        stream.write_all(&half[..sent]).await.unwrap();
        assert_eq!(read_to_close(&mut stream).await, "", "{sent} bytes");
    }
}

#[tokio::test]
async fn plain_http_gets_no_page() {
    let served = served(ListenerLimits::default()).await;
    let mut stream = served.connect().await;
    send(&mut stream, "GET / HTTP/1.1\r\nHost: hub\r\n\r\n").await;
    assert!(!read_to_close(&mut stream).await.contains("hello!"));
}

#[tokio::test]
async fn unusable_files_are_named_and_not_quoted() {
    let dir = tempfile::tempdir().unwrap();
    let broken = dir.path().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN PRIVATE KEY-----\ns3cret!\n").unwrap();
    let with = |cert: &Path, key: &Path| TlsFiles {
        cert: cert.to_owned(),
        key: key.to_owned(),
    };
    let missing = dir.path().join("missing.pem");
    for (tls, named) in [
        (with(&missing, &file("localhost.key")), &missing),
        (
            with(&file("localhost.key"), &file("localhost.key")),
            &file("localhost.key"),
        ),
        (with(&file("localhost.crt"), &broken), &broken),
        (
            with(&file("localhost.crt"), &file("localhost.crt")),
            &file("localhost.crt"),
        ),
    ] {
        let addr = ([127, 0, 0, 1], 0).into();
        let bound = Listener::bind("admin", addr, ListenerLimits::default(), Some(tls)).await;
        let error = bound.err().unwrap();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        match error {
            ListenError::TlsFile { path, .. } => assert_eq!(&path, named),
            other => panic!("{other}"),
        }
    }
}
