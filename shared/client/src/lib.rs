//! The Rust client: producers and consumers over REST.
