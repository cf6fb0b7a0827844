//! Clusters that are emptied, and those that are empty for good.

use shoal_api::Problem;
use shoal_api::manager::DrainRequest;
use shoal_api::plan::EventKind;
use shoal_types::{ClusterId, ErrorCode, Revision};

use super::{ATTEMPTS_MAX, OPERATOR, Ordered, Orders, busy, conflict};
use crate::events::News;
use crate::problem::store_problem;
use crate::records::{At, ClusterRecord, ClusterStage, Record};
use crate::store::{CommitError, Transaction};

impl Orders {
    /// Has a cluster give its queues away, or keep those that it has and take new ones again. Asked for
    /// while it is drained, what nobody consumes is forwarded at once from then on.
    ///
    /// # Errors
    /// If it is not formed or retired, no other one would take queues, or the store fails.
    pub(crate) async fn drain(
        &self,
        cluster: ClusterId,
        asked: DrainRequest,
    ) -> Result<Ordered, Problem> {
        for _ in 0..ATTEMPTS_MAX {
            let at = self.known(cluster)?;
            let wanted = match asked.drain {
                true => ClusterStage::Draining,
                false => ClusterStage::Formed,
            };
            match at.record.stage {
                stage if stage == wanted && at.record.forward == asked.forward => {
                    return self.ordered(cluster, false);
                }
                ClusterStage::Forming => {
                    let why = format!("{cluster} is still being formed");
                    return Err(conflict("cluster", why));
                }
                ClusterStage::Retired => {
                    return Err(conflict("cluster", format!("{cluster} is retired")));
                }
                ClusterStage::Formed | ClusterStage::Draining => {}
            }
            if asked.drain && !self.fleet.takes_queues_besides(cluster) {
                let why = format!("{cluster} is the only cluster that takes queues at the moment");
                return Err(conflict("cluster", why));
            }
            let at_once = match asked.forward {
                true => ", and what nobody consumes is forwarded at once",
                false => "",
            };
            let (kind, text) = match asked.drain {
                true => (
                    EventKind::Decided,
                    format!("{cluster} is drained{at_once}: {OPERATOR}"),
                ),
                false => (
                    EventKind::Undone,
                    format!("{cluster} is not drained any more: {OPERATOR}"),
                ),
            };
            let record = ClusterRecord {
                stage: wanted,
                forward: asked.forward,
                ..at.record.clone()
            };
            let news = News::of(kind, cluster, text);
            if self.put_record(at.revision, record, news).await? {
                return self.ordered(cluster, true);
            }
            self.reload_cluster(cluster).await?;
        }
        Err(busy())
    }

    /// Ends the life of a cluster that was drained and has no partition left.
    ///
    /// # Errors
    /// If it is in another stage, has queues, changes its members, or the store fails.
    pub(crate) async fn retire(&self, cluster: ClusterId, why: &str) -> Result<(), Problem> {
        for _ in 0..ATTEMPTS_MAX {
            let at = self.known(cluster)?;
            if at.record.stage != ClusterStage::Draining {
                return Err(conflict(
                    "cluster",
                    format!("{cluster} is not being drained"),
                ));
            }
            if at.record.change.is_some() {
                return Err(conflict(
                    "cluster",
                    format!("{cluster} is changing its members"),
                ));
            }
            let queues = self
                .fleet
                .cluster_info(cluster)
                .map_or(0, |info| info.queues);
            if queues > 0 {
                let detail = format!("{cluster} has {queues} partitions");
                return Err(Problem::new(ErrorCode::Busy, detail));
            }
            let text = format!("{cluster} is retired, its hosts can be switched off: {why}");
            let news = News::of(EventKind::Done, cluster, text);
            let record = ClusterRecord {
                stage: ClusterStage::Retired,
                ..at.record
            };
            if self.put_record(at.revision, record, news).await? {
                return Ok(());
            }
            self.reload_cluster(cluster).await?;
        }
        Err(busy())
    }

    /// False if the record was changed meanwhile.
    async fn put_record(
        &self,
        before: Revision,
        record: ClusterRecord,
        news: News,
    ) -> Result<bool, Problem> {
        let transaction = Transaction::new()
            .expect(record.key(), Some(before))
            .put(record.key(), record.encode());
        match self.events.commit(transaction, news).await {
            Ok(revision) => {
                self.fleet.put_cluster(At { record, revision });
                Ok(true)
            }
            Err(CommitError::Conflict { .. }) => Ok(false),
            Err(CommitError::Store(error)) => Err(store_problem(&error)),
        }
    }
}
