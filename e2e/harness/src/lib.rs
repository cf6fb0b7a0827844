//! Starts real Shoal processes for tests and takes them down again.
