//! Keeping the memory of deletions small.

use futures_util::future::try_join_all;
use tracing::info;

use crate::keys;
use crate::limits::DELETIONS_KEPT_MAX;
use crate::records::{self, At, DeletedRecord, Record};
use crate::store::{CommitError, MetadataStore, StoreError, Transaction};

/// Forgets the oldest deletions if there are more than [`DELETIONS_KEPT_MAX`].
pub(crate) async fn prune(store: &dyn MetadataStore) -> Result<(), StoreError> {
    prune_to(store, DELETIONS_KEPT_MAX).await
}

async fn prune_to(store: &dyn MetadataStore, kept: usize) -> Result<(), StoreError> {
    let mut deletions: Vec<At<DeletedRecord>> = Vec::new();
    records::read_all(store, keys::DELETED, |at| deletions.push(at)).await?;
    let Some(too_many) = deletions.len().checked_sub(kept).filter(|count| *count > 0) else {
        return Ok(());
    };
    deletions.sort_unstable_by_key(|at| at.revision);
    deletions.truncate(too_many);
    let forget = |some: &[At<DeletedRecord>]| {
        let remove = |all: Transaction, at: &At<DeletedRecord>| all.remove(at.record.key());
        store.commit(some.iter().fold(Transaction::new(), remove))
    };
    match try_join_all(deletions.chunks(Transaction::WRITES_MAX).map(forget)).await {
        Ok(_) => {
            info!(count = too_many, "old deletions forgotten");
            Ok(())
        }
        Err(CommitError::Store(error)) => Err(error),
        Err(CommitError::Conflict { .. }) => unreachable!("there are no conditions"),
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::QueueId;

    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn the_newest_deletions_are_kept() {
        let store = MemoryStore::new();
        for n in 0..100_u64 {
            // Names in another order than time.
            let name = format!("q{:02}", n * 37 % 100).parse().unwrap();
            let record = DeletedRecord {
                name,
                queue: QueueId(n),
            };
            store
                .commit(Transaction::new().put(record.key(), record.encode()))
                .await
                .unwrap();
        }
        prune_to(&store, 100).await.unwrap();
        prune_to(&store, 40).await.unwrap();
        let mut kept = Vec::new();
        let each = |at: At<DeletedRecord>| kept.push(at.record.queue.0);
        records::read_all(&store, keys::DELETED, each)
            .await
            .unwrap();
        kept.sort_unstable();
        assert_eq!(kept, (60..100).collect::<Vec<_>>());
    }
}
