//! Rows as they are stored, and reading all of them.

use redb::Range;
use serde::{Deserialize, Serialize};

use super::error::{CheckpointError, contained};

/// Number of rows and sum of their checksums.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Digest {
    rows: u64,
    sum: u64,
}

impl Digest {
    pub(super) fn add(&mut self, crc: u32) {
        self.rows = self.rows.wrapping_add(1);
        self.sum = self.sum.wrapping_add(crc.into());
    }

    /// Wraps on damage; it is found when all rows are read.
    pub(super) fn remove(&mut self, crc: u32) {
        self.rows = self.rows.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(crc.into());
    }
}

fn checksum(key: &[u8], value: &[u8]) -> u32 {
    let len = crc32c::crc32c(&(key.len() as u64).to_le_bytes());
    crc32c::crc32c_append(crc32c::crc32c_append(len, key), value)
}

/// A value as it is stored, behind its checksum; and the checksum.
pub(super) fn protect(key: &[u8], value: &[u8]) -> (Vec<u8>, u32) {
    let crc = checksum(key, value);
    ([&crc.to_le_bytes()[..], value].concat(), crc)
}

/// The value that was stored under this key, if that is what it is; and the checksum.
pub(super) fn unprotect<'a>(key: &[u8], stored: &'a [u8]) -> Option<(&'a [u8], u32)> {
    let (crc, value) = stored.split_first_chunk()?;
    let crc = u32::from_le_bytes(*crc);
    (checksum(key, value) == crc).then_some((value, crc))
}

/// A key and its value.
type Row = (Vec<u8>, Vec<u8>);

/// All keys and values of a checkpoint in the order of the keys, each checked. Ends after the first
/// error; whether all rows were there is known only at the end.
pub struct Rows {
    range: Option<Range<'static, &'static [u8], &'static [u8]>>,
    left: Digest,
    /// The key before.
    last: Option<Vec<u8>>,
    /// None of them can be had.
    lost: Option<CheckpointError>,
    file: String,
}

impl std::fmt::Debug for Rows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rows")
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Rows {
    pub(super) fn new(
        range: Range<'static, &'static [u8], &'static [u8]>,
        digest: Digest,
        file: String,
    ) -> Self {
        Self {
            range: Some(range),
            left: digest,
            last: None,
            lost: None,
            file,
        }
    }

    /// None but this error.
    pub(super) fn lost(error: CheckpointError) -> Self {
        Self {
            range: None,
            left: Digest::default(),
            last: None,
            lost: Some(error),
            file: String::new(),
        }
    }

    fn read(&mut self) -> Result<Option<Row>, CheckpointError> {
        if let Some(error) = self.lost.take() {
            return Err(error);
        }
        let Some(range) = &mut self.range else {
            return Ok(None);
        };
        let damaged = |what: &str| CheckpointError::damaged(self.file.clone(), what);
        match range.next() {
            Some(Ok((key, stored))) => {
                let key = key.value().to_vec();
                let stored = stored.value();
                let found = unprotect(&key, stored);
                let (value, crc) = found.ok_or_else(|| damaged("a row fails its checksum"))?;
                self.left.remove(crc);
                // Misled by a damaged page, a replaced row may be there beside its successor.
                if self.last.as_ref().is_some_and(|last| *last >= key) {
                    return Err(damaged("its rows are not in order"));
                }
                self.last = Some(key.clone());
                Ok(Some((key, value.to_vec())))
            }
            Some(Err(error)) => Err(CheckpointError::from_storage(self.file.clone(), error)),
            None if self.left == Digest::default() => {
                self.range = None;
                Ok(None)
            }
            None => Err(damaged("rows are missing or doubled")),
        }
    }
}

impl Iterator for Rows {
    type Item = Result<(Vec<u8>, Vec<u8>), CheckpointError>;

    fn next(&mut self) -> Option<Self::Item> {
        let next = contained(self.file.clone(), || self.read());
        if next.is_err() {
            self.range = None;
        }
        next.transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stored_value_belongs_to_its_key_and_no_bit_may_differ() {
        let (stored, crc) = protect(b"key", b"value");
        assert_eq!(unprotect(b"key", &stored), Some((&b"value"[..], crc)));
        assert_eq!(unprotect(b"kex", &stored), None);
        assert_eq!(unprotect(b"keyv", b"alue"), None);
        for bit in 0..stored.len() * 8 {
            let mut bad = stored.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unprotect(b"key", &bad), None);
        }
        assert_eq!(unprotect(b"key", b"abc"), None, "too short");
    }
}
