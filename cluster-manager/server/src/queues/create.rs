//! A new queue: placed, written down, created at its cluster.

use std::sync::Arc;

use shoal_api::Problem;
use shoal_planner::{NoCapacity, Placement};
use shoal_types::{Epoch, ErrorCode, GroupRange, QueueName, QueueRoute, QueueSettings};
use tokio::time::Instant;
use tracing::debug;

use super::Queues;
use super::settle::changed_meanwhile;
use crate::fleet::Reservation;
use crate::limits::{CAPACITY_PATIENCE, QUEUES_MAX};
use crate::problem::store_problem;
use crate::records::{PartitionRecord, PartitionStage, QueueRecord, QueueStage};

impl Queues {
    /// Creates a queue. The second part says whether it is new: if it exists with the same settings,
    /// that is as good.
    pub(crate) async fn create(
        self: &Arc<Self>,
        name: &QueueName,
        settings: QueueSettings,
    ) -> Result<(QueueRoute, bool), Problem> {
        settings
            .validate(name)
            .map_err(|error| Problem::invalid(error.field, error.why))?;
        // Most repetitions end here, without waiting for anybody.
        if let Some(at) = self.read(name).await?
            && at.record.is_visible()
        {
            check_same(&at.record, &settings)?;
            if at.record.stage == QueueStage::Active {
                return Ok((at.route(), false));
            }
        }
        self.alone(name, |this, name, until| async move {
            this.create_alone(&name, &settings, until).await
        })
        .await
    }

    async fn create_alone(
        self: &Arc<Self>,
        name: &QueueName,
        settings: &QueueSettings,
        until: Instant,
    ) -> Result<(QueueRoute, bool), Problem> {
        while let Some(at) = self.read(name).await? {
            let deleting = at.record.stage == QueueStage::Deleting;
            if !deleting {
                check_same(&at.record, settings)?;
            }
            match self.settle(at, until).await? {
                Some(at) => return Ok((at.route(), false)),
                None => assert!(deleting, "only a queue being deleted is gone when settled"),
            }
        }
        self.check_dead_letter_queue(name, settings).await?;
        let (placement, reservation) = self.place_soon(name, until).await?;
        debug!(%name, %placement, "queue placed");
        let record = self.new_record(name, settings, &placement).await?;
        let Some(at) = self.write(None, record).await? else {
            return Err(changed_meanwhile(name));
        };
        reservation.keep();
        let at = self.settle(at, until).await?;
        Ok((at.expect("a created queue is there").route(), true))
    }

    /// Where the queue goes; waits a moment for a cluster if none serves.
    async fn place_soon(
        &self,
        name: &QueueName,
        until: Instant,
    ) -> Result<(Placement, Reservation), Problem> {
        if self.fleet.queue_count() >= QUEUES_MAX {
            let detail = format!("there are {QUEUES_MAX} queues, which is the most there may be");
            return Err(Problem::new(ErrorCode::NoCapacity, detail));
        }
        let until = until.min(Instant::now() + CAPACITY_PATIENCE);
        let mut changes = self.fleet.changes();
        loop {
            changes.borrow_and_update();
            let why = match self.fleet.place(name) {
                Ok(placed) => return Ok(placed),
                Err(why @ (NoCapacity::NoCluster | NoCapacity::NoneServing { .. })) => why,
            };
            if tokio::time::timeout_at(until, changes.changed())
                .await
                .is_err()
            {
                return Err(Problem::new(ErrorCode::NoCapacity, why.to_string()));
            }
        }
    }

    async fn new_record(
        &self,
        name: &QueueName,
        settings: &QueueSettings,
        placement: &Placement,
    ) -> Result<QueueRecord, Problem> {
        let queue = self.ids.queue(&*self.store).await;
        let partition = self.ids.partition(&*self.store).await;
        let now = self.clock.now().wall;
        Ok(QueueRecord {
            name: name.clone(),
            queue: queue.map_err(|error| store_problem(&error))?,
            stage: QueueStage::Creating,
            settings: settings.clone(),
            partitions: vec![PartitionRecord {
                partition: partition.map_err(|error| store_problem(&error))?,
                epoch: Epoch(0),
                cluster: placement.cluster,
                stage: PartitionStage::Active,
                groups: GroupRange::ALL,
                since: now,
            }],
            last_epoch: Epoch(0),
            resized_at: now,
            created_at: now,
            changed_at: now,
        })
    }
}

fn check_same(existing: &QueueRecord, settings: &QueueSettings) -> Result<(), Problem> {
    if existing.settings == *settings {
        return Ok(());
    }
    let detail = format!("{} exists with other settings", existing.name);
    Err(Problem::new(ErrorCode::QueueExists, detail))
}
