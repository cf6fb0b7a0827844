//! One transaction on the tables, and looking at what it left.

use std::ops::Bound;

use redb::{Database, ReadableDatabase, WriteTransaction};

use super::head::Head;
use super::rows::{Digest, protect, unprotect};
use super::{HEAD, HEAD_KEY, ROWS};

pub(super) fn begin(database: &Database) -> Result<WriteTransaction, redb::Error> {
    let mut transaction = database.begin_write()?;
    transaction.set_quick_repair(true);
    Ok(transaction)
}

pub(super) fn put_head(transaction: &WriteTransaction, head: &Head) -> Result<(), redb::Error> {
    let bytes = head.encode();
    transaction.open_table(HEAD)?.insert(HEAD_KEY, &bytes[..])?;
    Ok(())
}

/// Which row should have which checksum after the commit; `None`: should not be there.
pub(super) type Checks = Vec<(Vec<u8>, Option<u32>)>;

/// Carries out the writes. `None`: a row that was there has no room for a checksum.
pub(super) fn apply(
    transaction: &WriteTransaction,
    writes: impl Iterator<Item = (Vec<u8>, Option<Vec<u8>>)>,
    mut digest: Digest,
) -> Result<Option<(Digest, Checks)>, redb::Error> {
    let mut table = transaction.open_table(ROWS)?;
    let mut checks = Checks::new();
    for (key, value) in writes {
        let stored = value.map(|value| protect(&key, &value));
        let old = match &stored {
            Some((stored, _)) => table.insert(&key[..], &stored[..])?,
            None => table.remove(&key[..])?,
        };
        if let Some(old) = old {
            let Some((crc, _)) = old.value().split_first_chunk() else {
                return Ok(None);
            };
            digest.remove(u32::from_le_bytes(*crc));
        }
        let crc = stored.map(|(_, crc)| crc);
        crc.inspect(|crc| digest.add(*crc));
        checks.push((key, crc));
    }
    Ok(Some((digest, checks)))
}

/// What a look at some rows came to.
pub(super) enum Checked {
    UpTo(Vec<u8>),
    ToTheEnd,
    Damaged(Vec<u8>),
}

pub(super) fn check_rows(
    database: &Database,
    after: &[u8],
    rows: usize,
) -> Result<Checked, redb::Error> {
    let table = database.begin_read()?.open_table(ROWS)?;
    let from = (Bound::Excluded(after), Bound::Unbounded);
    let mut last = None;
    for row in table.range::<&[u8]>(from)?.take(rows) {
        let (key, stored) = row?;
        if unprotect(key.value(), stored.value()).is_none() {
            return Ok(Checked::Damaged(key.value().to_vec()));
        }
        last = Some(key.value().to_vec());
    }
    Ok(last.map_or(Checked::ToTheEnd, Checked::UpTo))
}

/// True if every row is as it was written.
pub(super) fn read_back(database: &Database, checks: &Checks) -> Result<bool, redb::Error> {
    let table = database.begin_read()?.open_table(ROWS)?;
    let mut later = std::collections::BTreeSet::new();
    for (key, expected) in checks.iter().rev() {
        if !later.insert(&key[..]) {
            continue; // Written again by the same checkpoint.
        }
        let found = table.get(&key[..])?;
        let found = found.map(|stored| unprotect(key, stored.value()).map(|(_, crc)| crc));
        if found != expected.map(Some) {
            return Ok(false);
        }
    }
    Ok(true)
}
