//! What is stored under the keys of [`crate::keys`].
//!
//! Records are JSON: it says what its fields are, so a later version may add fields with defaults,
//! and a person can read the file. A record's revision is the store's and stands beside it, not in it.

mod cluster;
mod counter;
mod dead_letters;
mod deleted;
mod event;
mod host;
mod lacking;
mod movement;
mod noted;
mod opened;
mod queue;
mod rebuilding;
mod redrive;

use serde::Serialize;
use serde::de::DeserializeOwned;
use shoal_types::Revision;

pub(crate) use cluster::{ChangeRecord, ClusterRecord, ClusterStage, Step};
pub(crate) use counter::Counter;
pub(crate) use dead_letters::DeadLettersRecord;
pub(crate) use deleted::DeletedRecord;
pub(crate) use event::EventRecord;
pub(crate) use host::HostRecord;
pub(crate) use lacking::LackingRecord;
#[cfg(test)]
pub(crate) use movement::GivenUp;
pub(crate) use movement::{ForwardRecord, ForwardStage, MoveKind, MoveRecord, MoveStage};
pub(crate) use noted::Noted;
pub(crate) use opened::{LeftOut, OpenedRecord};
pub(crate) use queue::{PartitionRecord, PartitionStage, QueueRecord, QueueStage};
pub(crate) use rebuilding::RebuildingRecord;
pub(crate) use redrive::{RedrivePart, RedriveTask, RedrivesRecord};

use crate::limits::RECORD_BYTES_MAX;
use crate::store::{Entry, MetadataStore, StoreError, Stored};

/// A record with the revision of its last write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct At<T> {
    pub(crate) record: T,
    pub(crate) revision: Revision,
}

/// Something that is stored under one key.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// Where it is stored.
    fn key(&self) -> String;

    /// What is stored.
    fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("records have only string keys")
    }

    /// True if a store takes it.
    fn fits(&self) -> bool {
        self.encode().len() <= RECORD_BYTES_MAX
    }
}

/// Reads what [`Record::encode`] wrote.
pub(crate) fn decode<T: Record>(key: &str, stored: &Stored) -> Result<At<T>, StoreError> {
    let corrupt = |why| StoreError::Corrupt {
        key: key.to_owned(),
        why,
    };
    let record: T = serde_json::from_slice(&stored.value)
        .map_err(|_| corrupt("not a record of this version"))?;
    if record.key() != key {
        return Err(corrupt("the record belongs to another key"));
    }
    Ok(At {
        record,
        revision: stored.revision,
    })
}

/// The record at a key.
pub(crate) async fn read<T: Record>(
    store: &dyn MetadataStore,
    key: &str,
) -> Result<Option<At<T>>, StoreError> {
    let stored = store.get(key).await?;
    stored.map(|stored| decode(key, &stored)).transpose()
}

/// Hands all records under a prefix to `each`, in the order of keys.
pub(crate) async fn read_all<T: Record>(
    store: &dyn MetadataStore,
    prefix: &str,
    mut each: impl FnMut(At<T>),
) -> Result<(), StoreError> {
    /// Records in memory at once while reading.
    const PAGE: usize = 10_000;
    let mut after: Option<String> = None;
    loop {
        let page = store.list(prefix, after.as_deref(), PAGE).await?;
        for Entry { key, stored } in &page {
            each(decode(key, stored)?);
        }
        match page.last() {
            Some(last) if page.len() == PAGE => after = Some(last.key.clone()),
            _ => return Ok(()),
        }
    }
}
