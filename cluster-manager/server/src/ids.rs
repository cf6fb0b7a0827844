//! Ids that are given once, for ever.

use shoal_types::limits::ID_MAX;
use shoal_types::{PartitionId, QueueId};
use tokio::sync::Mutex;

use crate::keys;
use crate::limits::ID_BLOCK;
use crate::records::{self, Counter, Record};
use crate::store::{CommitError, MetadataStore, StoreError, Transaction};

/// Gives ids of queues and partitions. They are reserved in the store a block at a time, so that
/// giving one mostly writes nothing; what is left of a block at a restart is skipped.
pub(crate) struct Ids {
    queues: Mutex<Block>,
    partitions: Mutex<Block>,
}

struct Block {
    counter: &'static str,
    next: u64,
    /// The last id of the block; below `next` if it is used up.
    last: u64,
}

impl Ids {
    pub(crate) fn new() -> Self {
        let empty = |counter| {
            Mutex::new(Block {
                counter,
                next: 1,
                last: 0,
            })
        };
        Self {
            queues: empty(keys::QUEUE_IDS),
            partitions: empty(keys::PARTITION_IDS),
        }
    }

    /// Gives up what is left of the blocks: the counters in the store were raised.
    pub(crate) async fn begin_anew(&self) {
        for block in [&self.queues, &self.partitions] {
            let mut block = block.lock().await;
            block.next = block.last + 1;
        }
    }

    pub(crate) async fn queue(&self, store: &dyn MetadataStore) -> Result<QueueId, StoreError> {
        self.queues.lock().await.take(store).await.map(QueueId)
    }

    pub(crate) async fn partition(
        &self,
        store: &dyn MetadataStore,
    ) -> Result<PartitionId, StoreError> {
        self.partitions
            .lock()
            .await
            .take(store)
            .await
            .map(PartitionId)
    }
}

impl Block {
    async fn take(&mut self, store: &dyn MetadataStore) -> Result<u64, StoreError> {
        if self.next > self.last {
            self.last = reserve(store, self.counter, ID_BLOCK).await?;
            self.next = self.last - ID_BLOCK + 1;
        }
        self.next += 1;
        Ok(self.next - 1)
    }
}

/// Reserves `count` ids above all that were given; gives the last of them.
async fn reserve(
    store: &dyn MetadataStore,
    counter: &'static str,
    count: u64,
) -> Result<u64, StoreError> {
    loop {
        let (next, transaction) = count_up(store, counter, count, 0).await?;
        match store.commit(transaction).await {
            Ok(_) => return Ok(next),
            // Another manager reserved a block; this one takes the next.
            Err(CommitError::Conflict { .. }) => {}
            Err(CommitError::Store(error)) => return Err(error),
        }
    }
}

/// Puts a counter to `last`, unless it is there or further.
pub(crate) async fn raise(
    store: &dyn MetadataStore,
    transaction: Transaction,
    counter: &'static str,
    last: u64,
) -> Result<Transaction, StoreError> {
    let before = records::read::<Counter>(store, counter).await?;
    if before.as_ref().is_some_and(|at| at.record.last >= last) {
        return Ok(transaction);
    }
    let after = Counter {
        counter: counter.to_owned(),
        last,
    };
    Ok(transaction
        .expect(counter, before.map(|at| at.revision))
        .put(counter, after.encode()))
}

/// The counter after `count` more ids, above `floor` in any case, and the transaction that makes it so.
pub(crate) async fn count_up(
    store: &dyn MetadataStore,
    counter: &'static str,
    count: u64,
    floor: u64,
) -> Result<(u64, Transaction), StoreError> {
    let before = records::read::<Counter>(store, counter).await?;
    let used = before.as_ref().map_or(0, |at| at.record.last).max(floor);
    let last = used.checked_add(count).filter(|last| *last <= ID_MAX);
    let last = last.ok_or_else(|| StoreError::Corrupt {
        key: counter.to_owned(),
        why: "there are no ids above it",
    })?;
    let after = Counter {
        counter: counter.to_owned(),
        last,
    };
    let transaction = Transaction::new()
        .expect(counter, before.map(|at| at.revision))
        .put(counter, after.encode());
    Ok((after.last, transaction))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::store::MemoryStore;

    #[tokio::test]
    async fn ids_start_at_one_and_none_is_given_twice_over_restarts_and_managers() {
        let store = MemoryStore::new();
        let (a, b) = (Ids::new(), Ids::new());
        assert_eq!(a.queue(&store).await.unwrap(), QueueId(1));
        let mut given = BTreeSet::from([1]);
        for _ in 0..ID_BLOCK + 10 {
            for ids in [&a, &b] {
                assert!(given.insert(ids.queue(&store).await.unwrap().0));
            }
        }
        let restarted = Ids::new();
        assert!(given.insert(restarted.queue(&store).await.unwrap().0));
        assert_eq!(restarted.partition(&store).await.unwrap(), PartitionId(1));
    }
}
