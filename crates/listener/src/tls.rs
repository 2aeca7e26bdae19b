//! TLS with a certificate and a key from PEM files.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::TlsAcceptor;

use crate::ListenError;

/// Where a listener's certificate and key are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// PEM: the certificate, then those that lead to its root.
    pub cert: PathBuf,
    /// PEM: the certificate's private key.
    pub key: PathBuf,
}

impl TlsFiles {
    /// Checks that a listener of that name could use them.
    ///
    /// # Errors
    /// What is wrong with which file.
    pub async fn check(&self, name: &'static str) -> Result<(), ListenError> {
        acceptor(name, self).await.map(|_| ())
    }
}

/// Reads the files. ALPN offers HTTP/1.1 only.
pub(crate) async fn acceptor(
    name: &'static str,
    files: &TlsFiles,
) -> Result<TlsAcceptor, ListenError> {
    let unusable = |path: &Path, reason: String| ListenError::TlsFile {
        name,
        path: path.to_owned(),
        reason,
    };
    let read = async |path: &Path| {
        let bytes = tokio::fs::read(path).await;
        bytes.map_err(|error| unusable(path, error.to_string()))
    };
    let certs: Vec<_> = CertificateDer::pem_slice_iter(&read(&files.cert).await?)
        .collect::<Result<_, _>>()
        .map_err(|error| unusable(&files.cert, error.to_string()))?;
    if certs.is_empty() {
        return Err(unusable(
            &files.cert,
            "there is no certificate in it".to_owned(),
        ));
    }
    // Without the parser's error, which could quote the key.
    let key = PrivateKeyDer::from_pem_slice(&read(&files.key).await?)
        .map_err(|_| unusable(&files.key, "there is no private key in it".to_owned()))?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(certs, key))
        .map_err(|error| unusable(&files.cert, error.to_string()))?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
