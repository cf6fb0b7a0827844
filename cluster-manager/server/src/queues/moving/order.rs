//! Moves that an operator orders.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_api::plan::{MoveInfo, MoveRequest};
use shoal_types::{ErrorCode, PartitionId};

use super::Wanted;
use crate::problem::queue_not_found;
use crate::queues::Queues;
use crate::records::{MoveKind, PartitionStage, QueueRecord};

impl Queues {
    /// Begins the move of a partition.
    ///
    /// # Errors
    /// If there is no such queue or partition, it is there already, it cannot be moved now, or the store
    /// fails. Nothing was begun then.
    pub(crate) async fn order_move(
        self: &Arc<Self>,
        asked: MoveRequest,
    ) -> Result<MoveInfo, Problem> {
        let name = asked.queue.clone();
        let begun = self.alone(&name, |this, name, _| async move {
            let at = this.read(&name).await?;
            let at = at.filter(|at| at.record.is_visible());
            let record = at.ok_or_else(|| queue_not_found(&name))?.record;
            let wanted = wanted(&record, &asked)?;
            this.begin_move_alone(&name, wanted).await
        });
        let id = begun.await?;
        let moves = self.moves().into_iter();
        let begun = moves.into_iter().find(|info| info.id == id);
        begun.ok_or_else(|| {
            let detail = format!("the move of {name} was begun, and is over already");
            Problem::new(ErrorCode::Busy, detail)
        })
    }
}

/// What an order comes to, for the queue as it is.
fn wanted(record: &QueueRecord, asked: &MoveRequest) -> Result<Wanted, Problem> {
    let name = &record.name;
    let invalid = |field, detail: String| Problem::new(ErrorCode::InvalidRequest, detail).at(field);
    let takes_sends = record
        .partitions
        .iter()
        .filter(|one| one.stage == PartitionStage::Active);
    let takes_sends: Vec<_> = takes_sends.collect();
    let partition = match (asked.partition, &takes_sends[..]) {
        (Some(id), _) => takes_sends.iter().find(|one| one.partition == id),
        (None, [only]) => Some(only),
        (None, []) => None,
        (None, several) => {
            let ids: Vec<String> = several
                .iter()
                .map(|one| one.partition.to_string())
                .collect();
            let detail = format!(
                "{name} has several partitions, say which: {}",
                ids.join(", ")
            );
            return Err(invalid("partition", detail));
        }
    };
    let Some(partition) = partition else {
        let which = asked.partition.map(|id: PartitionId| format!("{id} of "));
        let detail = format!("{}{name} takes no sends", which.unwrap_or_default());
        return Err(invalid("partition", detail));
    };
    if partition.cluster == asked.to {
        return Err(invalid(
            "to",
            format!("{} of {name} is there", partition.partition),
        ));
    }
    Ok(Wanted {
        kind: MoveKind::Move,
        queue: record.queue,
        epoch: record.newest_epoch(),
        partition: partition.partition,
        with: None,
        to: vec![asked.to],
        carries: 0,
        text: format!(
            "move {} of {name} from {} to {}: asked for by an operator",
            partition.partition, partition.cluster, asked.to
        ),
    })
}
