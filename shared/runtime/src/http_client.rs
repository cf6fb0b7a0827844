//! The HTTP client with which processes of ours call the manager.

use reqwest::{Client, ClientBuilder};

/// A client for `url`, still to be told its timeouts.
///
/// TLS is prepared only where the address asks for it: it needs the certificates of authorities that the
/// system trusts, and a system may have none, such as a container with nothing but the binary in it.
pub fn builder(url: &str) -> ClientBuilder {
    let builder = Client::builder();
    if url.starts_with("https://") {
        builder
    } else {
        builder.tls_certs_only([])
    }
}
