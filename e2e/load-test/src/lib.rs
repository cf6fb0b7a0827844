//! The ledgered load: producers and consumers that account for every message.
