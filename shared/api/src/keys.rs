//! Keys that say "this is the same again". Each kind has a prefix of its own, so that a deduplication
//! id, a body and an idempotency key with equal bytes never meet.

use sha2::{Digest, Sha256};
use shoal_types::{AttemptKey, DedupKey};

/// The key of a deduplication id.
#[must_use]
pub fn of_dedup_id(id: &str) -> DedupKey {
    digest(&[b"shoal dedup id\0", id.as_bytes()])
}

/// The key of a body, for queues with content deduplication. Attributes do not count (SQS).
#[must_use]
pub fn of_content(body: &[u8]) -> DedupKey {
    digest(&[b"shoal content\0", body])
}

/// A key that is the same only within a message group.
#[must_use]
pub fn in_group(group: &str, key: &DedupKey) -> DedupKey {
    digest(&[b"shoal in group\0", key, group.as_bytes()])
}

/// The key of the `index`-th message of a send with an idempotency key.
#[must_use]
pub fn of_idempotency(key: &str, index: usize) -> DedupKey {
    let index = (index as u64).to_be_bytes();
    digest(&[b"shoal idempotency\0", &index, key.as_bytes()])
}

/// The key of a receive with an idempotency key.
#[must_use]
pub fn of_attempt(key: &str) -> AttemptKey {
    digest(&[b"shoal attempt\0", key.as_bytes()])
}

/// Tells whether two requests with the same idempotency key are the same request.
#[derive(Clone, Default)]
pub struct Fingerprint(Sha256);

impl Fingerprint {
    /// Adds a part. Its length counts, so that `ab` + `c` is not `a` + `bc`.
    pub fn add(&mut self, part: &[u8]) {
        self.0.update((part.len() as u64).to_be_bytes());
        self.0.update(part);
    }

    /// The fingerprint of all parts.
    #[must_use]
    pub fn finish(self) -> u64 {
        let digest = self.0.finalize();
        u64::from_be_bytes(digest[..8].try_into().expect("a digest has 32 bytes"))
    }
}

fn digest(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part);
    }
    hash.finalize()[..16]
        .try_into()
        .expect("a digest has 32 bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_and_indices_never_meet() {
        let keys = [
            of_dedup_id("a"),
            of_content(b"a"),
            of_idempotency("a", 0),
            of_idempotency("a", 1),
            of_attempt("a"),
            in_group("a", &of_dedup_id("a")),
            in_group("b", &of_dedup_id("a")),
            in_group("a", &of_content(b"a")),
        ];
        for (i, key) in keys.iter().enumerate() {
            assert!(!keys[..i].contains(key), "{i}");
        }
    }

    #[test]
    fn a_fingerprint_knows_where_parts_end() {
        let of = |parts: &[&str]| {
            let mut fingerprint = Fingerprint::default();
            parts
                .iter()
                .for_each(|part| fingerprint.add(part.as_bytes()));
            fingerprint.finish()
        };
        assert_eq!(of(&["ab", "c"]), of(&["ab", "c"]));
        assert_ne!(of(&["ab", "c"]), of(&["a", "bc"]));
        assert_ne!(of(&["a"]), of(&["a", ""]));
    }
}
