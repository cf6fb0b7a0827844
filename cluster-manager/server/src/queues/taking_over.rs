//! Queues as they were found at their clusters: into the store and into what is known here.

use std::sync::Arc;

use tokio::sync::OwnedSemaphorePermit;

use super::Queues;
use super::unsettled::Unsettled;
use crate::keys;
use crate::limits::OPERATIONS_MAX;
use crate::records::{self, At, DeletedRecord, MoveRecord, QueueRecord, QueueStage, Record};
use crate::store::{CommitError, StoreError, Transaction};

/// Nobody creates, changes or deletes a queue while this is held.
pub(crate) struct Quiet {
    _places: OwnedSemaphorePermit,
}

/// One queue's record as it is to be.
pub(crate) struct Taken<'a> {
    pub(crate) before: Option<&'a At<QueueRecord>>,
    pub(crate) after: &'a QueueRecord,
    /// Moves that are under way.
    pub(crate) moves: &'a [MoveRecord],
    /// Moves of the store that are no more.
    pub(crate) over: &'a [At<MoveRecord>],
}

impl Queues {
    /// Waits for the operations under way, and holds others off.
    pub(crate) async fn quiet(&self) -> Quiet {
        let places = Arc::clone(&self.places);
        let all = u32::try_from(OPERATIONS_MAX).expect("a few thousand");
        let places = places.acquire_many_owned(all).await;
        Quiet {
            _places: places.expect("it is never closed"),
        }
    }

    /// Every queue and every move of the store.
    ///
    /// # Errors
    /// If the store fails.
    pub(crate) async fn stored(
        &self,
    ) -> Result<(Vec<At<QueueRecord>>, Vec<At<MoveRecord>>), StoreError> {
        let (mut queues, mut moves) = (Vec::new(), Vec::new());
        records::read_all(&*self.store, keys::QUEUES, |at| queues.push(at)).await?;
        records::read_all(&*self.store, keys::MOVES, |at| moves.push(at)).await?;
        Ok((queues, moves))
    }

    /// Ids that were reserved are not given any more: the counters in the store were raised.
    pub(crate) async fn forget_reserved_ids(&self) {
        self.ids.begin_anew().await;
    }

    /// Writes what was found of a queue and goes by it from then on. Its record is written last: without it
    /// nothing of it counts.
    ///
    /// # Errors
    /// If a record was changed meanwhile, or the store fails; it may be done again then.
    pub(crate) async fn take_over(&self, taken: Taken<'_>) -> Result<(), CommitError> {
        let Taken {
            before,
            after,
            moves,
            over,
        } = taken;
        let _lock = self.locks.lock(&after.name).await;
        let is_over = |at: &At<MoveRecord>| moves.iter().all(|moving| moving.id != at.record.id);
        for at in over.iter().filter(|at| is_over(at)) {
            let transaction = Transaction::new().remove(at.record.key());
            self.store.commit(transaction).await?;
            self.moves.remove(at.record.id);
        }
        for moving in moves {
            let transaction = Transaction::new().put(moving.key(), moving.encode());
            let revision = self.store.commit(transaction).await?;
            self.move_changed(At {
                record: moving.clone(),
                revision,
            });
        }
        let transaction = Transaction::new()
            .expect(after.key(), before.map(|at| at.revision))
            .put(after.key(), after.encode())
            .remove(keys::deleted(&after.name));
        let earlier = before.filter(|before| before.record.queue != after.queue);
        let transaction = match earlier {
            Some(earlier) => transaction
                .remove(keys::dead_letters(earlier.record.queue))
                .remove(keys::redrives(earlier.record.queue)),
            None => transaction,
        };
        self.store.commit(transaction).await?;
        match before {
            Some(before) => self.partitions_changed(&before.record, after),
            None => {
                self.fleet.queue_found(after);
                self.note(after);
            }
        }
        if let Some(earlier) = earlier {
            self.forget_life(earlier.record.queue);
        }
        note_unsettled(&self.unsettled, after);
        Ok(())
    }

    /// Forgets a queue that no cluster has any more.
    ///
    /// # Errors
    /// If its record was changed meanwhile, or the store fails; then nothing is written.
    pub(crate) async fn take_as_deleted(&self, at: &At<QueueRecord>) -> Result<(), CommitError> {
        let QueueRecord { name, queue, .. } = &at.record;
        let _lock = self.locks.lock(name).await;
        let deleted = DeletedRecord {
            name: name.clone(),
            queue: *queue,
        };
        let transaction = Transaction::new()
            .expect(at.record.key(), Some(at.revision))
            .remove(at.record.key())
            .remove(keys::dead_letters(*queue))
            .remove(keys::redrives(*queue))
            .put(deleted.key(), deleted.encode());
        self.store.commit(transaction).await?;
        self.fleet.queue_gone(&at.record);
        self.forget(name, *queue);
        self.unsettled.remove(name);
        Ok(())
    }
}

fn note_unsettled(unsettled: &Unsettled, record: &QueueRecord) {
    match record.stage {
        QueueStage::Active => unsettled.remove(&record.name),
        QueueStage::Creating | QueueStage::Configuring | QueueStage::Deleting => {
            unsettled.add(record);
        }
    }
}
