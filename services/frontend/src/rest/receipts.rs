//! Finishing with messages: acknowledge, extend, release.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::response::Response;
use futures_util::future::join_all;
use http::StatusCode;
use serde::de::DeserializeOwned;
use shoal_api::receipts::{ReceiptTexts, invalid_receipt, parse};
use shoal_api::{
    AckRequest, ExtendRequest, Problem, ReceiptAnswer, ReceiptFailure, ReceiptItem, ReleaseRequest,
    Whole,
};
use shoal_types::{
    Applied, Command, Epoch, ErrorCode, LeaseChange, Micros, Outcome, PartitionId, PartitionRoute,
    PartitionState, QueueRoute, Receipt, ReceiptResult,
};

use super::call::{Call, json};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers, unexpected};
use crate::admission::Class;
use crate::app::{App, QueueOperation};
use crate::dispatch::Deadline;
use crate::limits::RECEIPTS_BODY_BYTES_MAX;
use crate::partitions::{in_partition, is_not_there};

/// What is to be done for each receipt.
#[derive(Clone, Copy)]
enum Wish {
    Acknowledge,
    Extend(Micros),
    Release(Micros),
}

/// `POST /v1/queues/{queue}/messages/ack`
pub(super) async fn acknowledge(
    State(app): Shared,
    queue: QueuePart,
    request: Request,
) -> Response {
    let wish = |asked: AckRequest| (Wish::Acknowledge, asked.receipts);
    answer("acknowledge", &app, queue, request, wish).await
}

/// `POST /v1/queues/{queue}/messages/extend`
pub(super) async fn extend(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let wish = |asked: ExtendRequest| {
        (
            Wish::Extend(asked.visibility_timeout_s.seconds()),
            asked.receipts,
        )
    };
    answer("extend", &app, queue, request, wish).await
}

/// `POST /v1/queues/{queue}/messages/release`
pub(super) async fn release(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let wish = |asked: ReleaseRequest| {
        (
            Wish::Release(asked.delay_s.map_or(0, Whole::seconds)),
            asked.receipts,
        )
    };
    answer("release", &app, queue, request, wish).await
}

async fn answer<T: DeserializeOwned>(
    operation: &'static str,
    app: &App,
    queue: QueuePart,
    request: Request,
    wish: impl FnOnce(T) -> (Wish, ReceiptTexts),
) -> Response {
    let call = Call::begin(operation);
    let answer = try_answer(app, &call, queue, request, wish).await;
    call.finish(answer)
}

async fn try_answer<T: DeserializeOwned>(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
    wish: impl FnOnce(T) -> (Wish, ReceiptTexts),
) -> Result<Response, Problem> {
    let limit = RECEIPTS_BODY_BYTES_MAX;
    let taken = body::take(&app.admission, Class::Finish, request, limit).await?;
    let name = queue_name(queue)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let (wish, texts) = wish(taken.json()?);
    let receipts = parse(&texts)?;
    let mut finish = Finish {
        wish,
        results: vec![None; receipts.len()],
        receipts,
        deadline,
    };
    app.on_queue(&name, deadline, &mut finish).await?;
    let items = texts.into_vec().into_iter().zip(finish.results);
    let receipts: Vec<_> = items
        .map(|(text, result)| ReceiptItem::new(text, result.expect("every receipt was seen to")))
        .collect();
    if receipts
        .iter()
        .all(|item| item.reason == Some(ReceiptFailure::Unknown))
    {
        return Err(invalid_receipt(0, ReceiptFailure::Unknown.detail()));
    }
    let all_done = receipts.iter().all(|item| item.ok);
    let status = if all_done {
        StatusCode::OK
    } else {
        StatusCode::MULTI_STATUS
    };
    Ok(json(status, &ReceiptAnswer { receipts }))
}

/// A wish with its receipts.
struct Finish {
    wish: Wish,
    receipts: Vec<Receipt>,
    deadline: Deadline,
    /// What became of each receipt so far.
    results: Vec<Option<ReceiptResult>>,
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

impl QueueOperation for Finish {
    type Done = ();

    /// Sends one command per partition.
    async fn run(&mut self, app: &App, route: &QueueRoute) -> Result<(), Problem> {
        let newer = self.newer_if_behind(app, route).await?;
        let parts = self.divide(newer.as_deref().unwrap_or(route))?;
        match &*parts {
            [only] => {
                let results = self.finish(app, only).await?;
                self.note(only, results);
                Ok(())
            }
            parts => Box::pin(self.finish_all(app, parts)).await,
        }
    }

    fn fail(&mut self, problem: Problem) -> Result<(), Problem> {
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
    /// The manager's word if a receipt may be of a partition that is not known here yet: another frontend,
    /// which knows more, gave it out. That is one of a later epoch, or an heir of one that is known, which
    /// has the same epoch.
    async fn newer_if_behind(
        &self,
        app: &App,
        route: &QueueRoute,
    ) -> Result<Option<Arc<QueueRoute>>, Problem> {
        if !self
            .receipts
            .iter()
            .any(|receipt| may_be_new(route, receipt))
        {
            return Ok(None);
        }
        let newer = self.deadline.bound(app.routes.newer(route)).await;
        newer.map_err(|problem| problem.applied(Applied::No))
    }

    /// What is still to be done, by partition. A message whose partition is gone is gone.
    fn divide(&mut self, route: &QueueRoute) -> Result<Vec<Part>, Problem> {
        let newest = route.partitions.iter().map(|place| place.epoch).max();
        let mut parts = Vec::<Part>::new();
        for (index, receipt) in self.receipts.iter().enumerate() {
            if self.results[index].is_some() {
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
                None => return Err(invalid_receipt(index, "belongs to another queue")),
            }
        }
        Ok(parts)
    }

    /// Has a partition see to its receipts: one result for each, in order.
    async fn finish(&self, app: &App, part: &Part) -> Result<Vec<ReceiptResult>, Problem> {
        let Part {
            place,
            has_heir,
            indices,
        } = part;
        let receipts = || indices.iter().map(|index| self.receipts[*index]);
        let command = |_| self.wish.command(place.partition, receipts());
        let done = app
            .dispatcher
            .execute(place.cluster, self.deadline, &[], command);
        match done.await.map(|answer| answer.reply) {
            Ok(Outcome::Receipts(results)) if results.len() == indices.len() => Ok(results),
            Ok(other) => Err(unexpected(&other)),
            // It was drained and deleted a moment ago.
            Err(refusal)
                if refusal.code == ErrorCode::QueueNotFound
                    && refusal.applied == Applied::No
                    && place.state == PartitionState::Draining =>
            {
                let result = match has_heir {
                    true => ReceiptResult::Expired,
                    false => self.wish.of_what_is_gone(),
                };
                Ok(vec![result; indices.len()])
            }
            Err(refusal) => Err(refusal.into()),
        }
    }

    async fn finish_all(&mut self, app: &App, parts: &[Part]) -> Result<(), Problem> {
        let all = join_all(parts.iter().map(|part| self.finish(app, part))).await;
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
            Some(problem) => self.fail(problem),
            None => Ok(()),
        }
    }

    fn note(&mut self, part: &Part, results: Vec<ReceiptResult>) {
        for (index, result) in part.indices.iter().zip(results) {
            self.results[*index] = Some(result);
        }
    }
}

impl Wish {
    /// What is said of a message that is deleted.
    fn of_what_is_gone(self) -> ReceiptResult {
        match self {
            Self::Acknowledge => ReceiptResult::Done,
            Self::Extend(_) | Self::Release(_) => ReceiptResult::Gone,
        }
    }

    fn command(self, partition: PartitionId, receipts: impl Iterator<Item = Receipt>) -> Command {
        match self {
            Self::Acknowledge => Command::Acknowledge {
                partition,
                receipts: receipts.collect(),
            },
            Self::Extend(visibility) => {
                let change = |receipt| LeaseChange {
                    receipt,
                    visibility,
                };
                Command::ChangeVisibility {
                    partition,
                    changes: receipts.map(change).collect(),
                }
            }
            Self::Release(delay) => Command::Release {
                partition,
                receipts: receipts.collect(),
                delay,
            },
        }
    }
}
