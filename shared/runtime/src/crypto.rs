//! The one TLS implementation of the process.

/// Makes ring the provider of rustls for the whole process. The first line of every `main` and of the
/// test harness: without it the first TLS configuration panics. Doing it again changes nothing.
pub fn install() {
    // The error says that a provider is there already, which is what this asks for.
    let _ = rustls::crypto::ring::default_provider().install_default();
}

#[cfg(test)]
mod tests {
    #[test]
    fn installing_twice_is_fine() {
        super::install();
        super::install();
        assert!(rustls::crypto::CryptoProvider::get_default().is_some());
    }
}
