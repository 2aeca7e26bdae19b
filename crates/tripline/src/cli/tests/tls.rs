//! Addresses with TLS: the message where a certificate is not trusted, and where the scheme is the other one.

use std::path::PathBuf;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tripline_listener::{Listener, ListenerLimits, TlsFiles};

use super::{Exit, FakeHub, Ran, pipe};

/// A file that `tls/make.sh` made.
fn made(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/cli/tests/tls");
    folder.join(format!("{name}.pem"))
}

/// A hub behind this certificate. It ends with the set.
async fn behind(certificate: &str) -> (u16, JoinSet<()>) {
    let files = TlsFiles {
        cert: made(certificate),
        key: made(certificate),
    };
    let address = "127.0.0.1:0".parse().unwrap();
    let listener = Listener::bind("admin", address, ListenerLimits::default(), Some(files));
    let listener = listener.await.unwrap();
    let port = listener.local_addr().port();
    let app = Router::new().route("/v1/functions", get(|| async { r#"{"functions":[]}"# }));
    let mut serving = JoinSet::new();
    serving.spawn(listener.serve(app, CancellationToken::new(), Duration::ZERO));
    (port, serving)
}

/// Asks what is at `address`, and trusts what this file holds.
async fn ask(address: &str, trusted: &str) -> Ran {
    let ca = made(trusted).display().to_string();
    let args = ["functions", "--admin", address, "--ca", &ca];
    pipe(&FakeHub::gone().await, &args).await
}

#[tokio::test]
async fn a_certificate_that_an_authority_signed_is_trusted() {
    let (port, _serving) = behind("localhost").await;
    let ran = ask(&format!("https://localhost:{port}"), "ca").await;
    assert_eq!((ran.exit, &*ran.err), (Exit::Done, ""));
}

#[tokio::test]
async fn it_is_said_why_a_certificate_is_not_trusted() {
    let cases = [
        (
            "localhost",
            "plain",
            "nobody who is trusted here has signed it",
        ),
        (
            "elsewhere.example",
            "ca",
            "not valid for name \"localhost\"",
        ),
        ("plain", "plain", "basicConstraints=CA:FALSE"),
    ];
    for (certificate, trusted, words) in cases {
        let (port, _serving) = behind(certificate).await;
        let ran = ask(&format!("https://localhost:{port}"), trusted).await;
        assert_eq!(ran.exit, Exit::Unreachable, "{ran:?}");
        let first = format!("the certificate of https://localhost:{port}/ cannot be trusted: ");
        assert!(ran.err.contains(&first), "{ran:?}");
        assert!(ran.err.contains(words), "{certificate}: {ran:?}");
    }
}

#[tokio::test]
async fn the_other_scheme_is_named() {
    let (port, _serving) = behind("localhost").await;
    let ran = ask(&format!("http://localhost:{port}"), "ca").await;
    assert_eq!(ran.exit, Exit::Unreachable);
    let words = format!("does not speak HTTP; name it as https://localhost:{port}/");
    assert!(ran.err.contains(&words), "{ran:?}");

    let plain = FakeHub::start().await;
    let ran = ask(&plain.url.replace("http://", "https://"), "ca").await;
    assert_eq!(ran.exit, Exit::Unreachable);
    let words = format!("does not speak TLS; name it as {}/", plain.url);
    assert!(ran.err.contains(&words), "{ran:?}");
}
