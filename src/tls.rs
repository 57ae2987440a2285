//! Whom we trust when we speak TLS, and with whose cryptography. One provider is compiled in, and everything uses it.

use crate::error::{Error, Result};
use async_nats::rustls::crypto::{CryptoProvider, ring};
use async_nats::rustls::pki_types::CertificateDer;
use async_nats::rustls::pki_types::pem::PemObject;
use async_nats::rustls::{ClientConfig, RootCertStore};
use std::path::Path;
use std::sync::{Arc, OnceLock};

/// For libraries that take the process's provider: with two compiled in, rustls panics at the first connection unless one is chosen.
/// Somebody else's choice counts.
pub fn choose_provider() {
    let _ = CryptoProvider::install_default(ring::default_provider());
}

/// The authorities in a PEM file; `option` is what named it.
///
/// # Errors
/// `ERR_INVALID_ARGUMENT` when it cannot be read or holds none.
pub fn authorities(option: &str, path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let bad = |problem: String| Error::invalid(option, format_args!("{}: {problem}", path.display()));
    let certificates = CertificateDer::pem_file_iter(path).map_err(|e| bad(e.to_string()))?;
    let certificates: Vec<_> = certificates.collect::<Result<_, _>>().map_err(|e| bad(e.to_string()))?;
    if certificates.is_empty() { Err(bad("no certificate in it".to_owned())) } else { Ok(certificates) }
}

/// PEM of the authorities that are trusted where a system has none: slim container images.
static AT_LAST: OnceLock<String> = OnceLock::new();

/// Says once for the process who is trusted where neither an option nor the system names anybody: Node has Mozilla's authorities, and a copy
/// of our own would be 0.07 MB of the addon.
pub fn trust_at_last(pem: String) {
    let _ = AT_LAST.set(pem);
}

/// Trusts those in `ca_file`, else the system's authorities, else those of [`trust_at_last`]: a client that is left to find them by itself
/// fails to start in images without a store, even for plain http (reqwest#2988).
///
/// # Errors
/// `ERR_INVALID_ARGUMENT`, naming `option`.
pub fn client_config(option: &str, ca_file: Option<&Path>) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = ca_file {
        roots.add_parsable_certificates(authorities(option, path)?);
    } else {
        // One that cannot be read is one that is not trusted.
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        if roots.is_empty() {
            let pem = AT_LAST.get().map_or("", String::as_str);
            roots.add_parsable_certificates(CertificateDer::pem_slice_iter(pem.as_bytes()).flatten());
        }
    }
    trusting(option, roots)
}

/// Trusts nobody: for connections that are not encrypted.
///
/// # Errors
/// As [`client_config`].
pub fn trusting_nobody(option: &str) -> Result<ClientConfig> {
    trusting(option, RootCertStore::empty())
}

fn trusting(option: &str, roots: RootCertStore) -> Result<ClientConfig> {
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
    let config = config.map_err(|e| Error::invalid(option, e))?;
    Ok(config.with_root_certificates(roots).with_no_client_auth())
}
