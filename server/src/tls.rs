//! Takes a certificate and its key, gives what speaks TLS with them. Noun: [`TlsFiles`].

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use tokio_rustls::TlsAcceptor;

/// PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The chain, our own certificate first.
    pub cert: PathBuf,
    /// Of our own certificate.
    pub key: PathBuf,
}

/// The files are not what TLS needs.
#[derive(Debug, Error)]
pub enum TlsError {
    /// One can't be read, or holds nothing of that kind.
    #[error("`{path}` gives no {what} in PEM form: {source}")]
    Pem {
        /// Which file.
        path: PathBuf,
        /// Certificate or key.
        what: &'static str,
        /// Why.
        source: rustls::pki_types::pem::Error,
    },
    /// They don't belong together, or are of a kind that is not spoken here.
    #[error("certificate and key can't be used: {0}")]
    Rustls(#[from] rustls::Error),
}

impl From<TlsError> for io::Error {
    fn from(error: TlsError) -> Self {
        Self::new(io::ErrorKind::InvalidInput, error)
    }
}

/// Reads the files; TLS 1.2 and 1.3, HTTP/1.1.
///
/// # Errors
/// [`TlsError`].
pub fn acceptor(files: &TlsFiles) -> Result<TlsAcceptor, TlsError> {
    let of_cert = |source| TlsError::Pem { path: files.cert.clone(), what: "certificate", source };
    let of_key = |source| TlsError::Pem { path: files.key.clone(), what: "private key", source };
    let chain: Vec<CertificateDer<'static>> =
        CertificateDer::pem_file_iter(&files.cert).and_then(Iterator::collect).map_err(of_cert)?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(of_key)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
