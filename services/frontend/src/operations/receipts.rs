//! Finishing with messages: acknowledge, extend, release.

use std::sync::Arc;

use futures_util::future::join_all;
use shoal_api::Problem;
use shoal_api::receipts::invalid_receipt;
use shoal_types::{
    Applied, Command, Epoch, ErrorCode, LeaseChange, Micros, Outcome, PartitionId, PartitionRoute,
    PartitionState, QueueRoute, Receipt, ReceiptResult,
};
use tracing::debug;

use super::unexpected;
use crate::app::{App, QueueOperation};
use crate::dispatch::Deadline;
use crate::limits::LOOK_WITHIN;
use crate::partitions::{in_partition, is_not_there};

/// What is to be done for each receipt.
#[derive(Clone, Debug)]
pub(crate) enum Wish {
    Acknowledge,
    /// Each lease ends so long from now; one for each receipt, in order.
    Extend(Vec<Micros>),
    Release(Micros),
}

/// What a receipt of another queue does to the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Foreign {
    /// All of it is refused.
    FailsAll,
    /// It is unknown; the others are seen to.
    IsUnknown,
}

/// A wish with its receipts.
pub(crate) struct Finish {
    wish: Wish,
    receipts: Vec<Receipt>,
    foreign: Foreign,
    deadline: Deadline,
    /// What became of each receipt so far.
    results: Vec<Option<ReceiptResult>>,
}

/// Whether a route is the manager's last word.
#[derive(Clone, Copy)]
enum Word {
    Perhaps,
    Newest,
}

/// Receipts of one partition.
struct Part {
    place: PartitionRoute,
    /// What was left in it may have gone on to a partition of the same epoch, or came from one.
    has_heir: bool,
    /// Which of the request's.
    indices: Vec<usize>,
}

/// Whether a receipt's partition may be one that was made after this route was.
fn may_be_new(route: &QueueRoute, receipt: &Receipt) -> bool {
    let places = &route.partitions;
    let epoch = receipt.sequence.epoch();
    let is_there = places.iter().any(|one| one.partition == receipt.partition);
    let is_later = places.iter().all(|one| one.epoch < epoch);
    !is_there && (is_later || has_another(route, receipt.partition, epoch))
}

/// Whether the route has another partition of the same epoch: one is the other's heir.
fn has_another(route: &QueueRoute, partition: PartitionId, epoch: Epoch) -> bool {
    let mut places = route.partitions.iter();
    places.any(|one| one.epoch == epoch && one.partition != partition)
}

/// Whether a partition of this epoch is being emptied: it may be the heir of one that is gone.
fn drains(route: &QueueRoute, epoch: Epoch) -> bool {
    let mut places = route.partitions.iter();
    places.any(|one| one.epoch == epoch && one.state == PartitionState::Draining)
}

/// What became of each receipt, in order; of those of a partition that could not be asked, nothing is known.
pub(crate) type Fates = Vec<Option<ReceiptResult>>;

impl QueueOperation for Finish {
    type Done = Fates;

    /// Sends one command per partition. First to those that are known here, so that nothing but the receipts
    /// of others depends on the manager.
    async fn run(&mut self, app: &App, route: &QueueRoute) -> Result<Fates, Problem> {
        let parts = self.divide(route, may_be_new)?;
        self.finish_parts(app, &parts, Word::Perhaps).await?;
        if self.results.iter().all(Option::is_some) {
            return Ok(self.fates());
        }
        let newer = match self.newer(app, route).await {
            Ok(newer) => newer,
            Err(problem) if problem.code == ErrorCode::QueueNotFound => {
                return self.fail(problem.applied(Applied::No));
            }
            Err(problem) => {
                self.take_for_gone(&parts);
                return match self.is_begun() {
                    true => Ok(self.fates()),
                    false => self.fail(problem.applied(Applied::No)),
                };
            }
        };
        let parts = self.divide(newer.as_deref().unwrap_or(route), |_, _| false)?;
        self.finish_parts(app, &parts, Word::Newest).await?;
        Ok(self.fates())
    }

    fn fail(&mut self, problem: Problem) -> Result<Fates, Problem> {
        let done = self.results.iter().flatten().count();
        if done == 0 {
            return Err(problem);
        }
        let all = self.results.len();
        let detail = format!("{}; {done} of {all} receipts were seen to", problem.detail);
        Err(Problem::new(problem.code, detail).applied(Applied::Unknown))
    }
}

impl Finish {
    pub(crate) fn new(
        wish: Wish,
        receipts: Vec<Receipt>,
        foreign: Foreign,
        deadline: Deadline,
    ) -> Self {
        Self {
            wish,
            results: vec![None; receipts.len()],
            receipts,
            foreign,
            deadline,
        }
    }

    fn fates(&mut self) -> Fates {
        std::mem::take(&mut self.results)
    }

    /// True if some receipts were seen to.
    fn is_begun(&self) -> bool {
        self.results.iter().any(Option::is_some)
    }

    /// The manager's word, since receipts are left that may be of partitions that are not known here yet:
    /// another frontend, which knows more, gave them out. Those are of a later epoch, or heirs of ones that
    /// are known, which have the same epoch.
    async fn newer(
        &self,
        app: &App,
        route: &QueueRoute,
    ) -> Result<Option<Arc<QueueRoute>>, Problem> {
        // What was done for the others is to be told, whatever the manager does.
        let until = match self.is_begun() {
            true => self.deadline.at_most(LOOK_WITHIN),
            false => self.deadline,
        };
        until.bound(app.routes.newer(route)).await
    }

    /// What is still to be done, by partition, but for what is put off. A message whose partition is gone is
    /// gone.
    fn divide(
        &mut self,
        route: &QueueRoute,
        put_off: impl Fn(&QueueRoute, &Receipt) -> bool,
    ) -> Result<Vec<Part>, Problem> {
        let newest = route.partitions.iter().map(|place| place.epoch).max();
        let is_begun = self.is_begun();
        let mut parts = Vec::<Part>::new();
        for (index, receipt) in self.receipts.iter().enumerate() {
            if self.results[index].is_some() || put_off(route, receipt) {
                continue;
            }
            let is_there = |place: &PartitionRoute| place.partition == receipt.partition;
            if let Some(part) = parts.iter_mut().find(|part| is_there(&part.place)) {
                part.indices.push(index);
                continue;
            }
            match route.partitions.iter().find(|place| is_there(place)) {
                Some(place) => parts.push(Part {
                    place: *place,
                    has_heir: has_another(route, place.partition, place.epoch),
                    indices: vec![index],
                }),
                // Its message may have gone on to the heir, where this receipt says nothing.
                None if drains(route, receipt.sequence.epoch()) => {
                    self.results[index] = Some(ReceiptResult::Expired);
                }
                None if Some(receipt.sequence.epoch()) < newest => {
                    self.results[index] = Some(self.wish.of_what_is_gone());
                }
                None if is_begun || self.foreign == Foreign::IsUnknown => {
                    self.results[index] = Some(ReceiptResult::Unknown);
                }
                None => return Err(invalid_receipt(index, "belongs to another queue")),
            }
        }
        Ok(parts)
    }

    /// The manager cannot be asked whether what was left in these partitions went on to heirs.
    fn take_for_gone(&mut self, parts: &[Part]) {
        for index in parts.iter().flat_map(|part| &part.indices) {
            let gone = self.wish.of_what_is_gone();
            let result = self.results[*index].get_or_insert(gone);
            debug!(receipt = %self.receipts[*index], ?result, "its partition is gone, and perhaps not its message");
        }
    }

    /// Has a partition see to its receipts: one result for each, in order. None for those that only a newer
    /// route can tell of.
    async fn finish(
        &self,
        app: &App,
        part: &Part,
        word: Word,
    ) -> Result<Vec<Option<ReceiptResult>>, Problem> {
        let Part {
            place,
            has_heir,
            indices,
        } = part;
        let command = |_| self.command(place.partition, indices);
        let done = app
            .dispatcher
            .execute(place.cluster, self.deadline, &[], command);
        match done.await.map(|answer| answer.reply) {
            Ok(Outcome::Receipts(results)) if results.len() == indices.len() => {
                Ok(results.into_iter().map(Some).collect())
            }
            Ok(other) => Err(unexpected(&other)),
            // It was drained and deleted a moment ago.
            Err(refusal)
                if refusal.code == ErrorCode::QueueNotFound
                    && refusal.applied == Applied::No
                    && place.state == PartitionState::Draining =>
            {
                let result = match word {
                    _ if *has_heir => Some(ReceiptResult::Expired),
                    Word::Newest => Some(self.wish.of_what_is_gone()),
                    Word::Perhaps => None,
                };
                Ok(vec![result; indices.len()])
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn finish_parts(&mut self, app: &App, parts: &[Part], word: Word) -> Result<(), Problem> {
        match parts {
            [] => Ok(()),
            [only] => {
                let results = self.finish(app, only, word).await;
                match results {
                    Ok(results) => self.note(only, results),
                    Err(problem) if is_not_there(&problem) => return Err(problem),
                    Err(problem) => return self.fail(problem).map(drop),
                }
                Ok(())
            }
            parts => Box::pin(self.finish_all(app, parts, word)).await,
        }
    }

    async fn finish_all(&mut self, app: &App, parts: &[Part], word: Word) -> Result<(), Problem> {
        let all = join_all(parts.iter().map(|part| self.finish(app, part, word))).await;
        let mut failed = None::<Problem>;
        for (part, results) in parts.iter().zip(all) {
            match results {
                Ok(results) => self.note(part, results),
                // What failed for good is told rather than what may be tried again with a newer route.
                Err(problem) if failed.as_ref().is_none_or(is_not_there) => {
                    failed = Some(in_partition(&part.place, &problem));
                }
                Err(_) => {}
            }
        }
        match failed {
            Some(problem) if is_not_there(&problem) => Err(problem),
            Some(problem) => self.fail(problem).map(drop),
            None => Ok(()),
        }
    }

    fn note(&mut self, part: &Part, results: Vec<Option<ReceiptResult>>) {
        for (index, result) in part.indices.iter().zip(results) {
            self.results[*index] = result;
        }
    }

    fn command(&self, partition: PartitionId, indices: &[usize]) -> Command {
        let receipts = indices.iter().map(|index| self.receipts[*index]);
        match &self.wish {
            Wish::Acknowledge => Command::Acknowledge {
                partition,
                receipts: receipts.collect(),
            },
            Wish::Extend(visibilities) => {
                let change = |index: &usize| LeaseChange {
                    receipt: self.receipts[*index],
                    visibility: visibilities[*index],
                };
                Command::ChangeVisibility {
                    partition,
                    changes: indices.iter().map(change).collect(),
                }
            }
            Wish::Release(delay) => Command::Release {
                partition,
                receipts: receipts.collect(),
                delay: *delay,
            },
        }
    }
}

impl Wish {
    /// What is said of a message that is deleted.
    fn of_what_is_gone(&self) -> ReceiptResult {
        match self {
            Self::Acknowledge => ReceiptResult::Done,
            Self::Extend(_) | Self::Release(_) => ReceiptResult::Gone,
        }
    }
}
