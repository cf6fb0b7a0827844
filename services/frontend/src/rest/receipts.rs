//! Finishing with messages: acknowledge, extend, release.

use std::collections::BTreeMap;

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::de::DeserializeOwned;
use shoal_api::receipts::{ReceiptTexts, invalid_receipt, parse};
use shoal_api::{
    AckRequest, ExtendRequest, Problem, ReceiptAnswer, ReceiptFailure, ReceiptItem, ReleaseRequest,
    Whole,
};
use shoal_types::{
    Command, LeaseChange, Micros, Outcome, PartitionId, QueueRoute, Receipt, ReceiptResult,
};

use super::call::{Call, json};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers, unexpected};
use crate::admission::Class;
use crate::app::{App, QueueOperation};
use crate::dispatch::Deadline;
use crate::limits::RECEIPTS_BODY_BYTES_MAX;

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
    let finish = Finish {
        wish,
        receipts,
        deadline,
    };
    let results = app.on_queue(&name, deadline, &finish).await?;
    let items = texts.into_vec().into_iter().zip(results);
    let receipts: Vec<_> = items
        .map(|(text, result)| ReceiptItem::new(text, result))
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
}

impl QueueOperation for Finish {
    /// In the order of the receipts.
    type Done = Vec<ReceiptResult>;

    /// Sends one command per partition.
    async fn run(&self, app: &App, route: &QueueRoute) -> Result<Vec<ReceiptResult>, Problem> {
        let Self {
            wish,
            receipts,
            deadline,
        } = self;
        let mut by_partition = BTreeMap::<PartitionId, Vec<usize>>::new();
        for (index, receipt) in receipts.iter().enumerate() {
            if !route
                .partitions
                .iter()
                .any(|known| known.partition == receipt.partition)
            {
                return Err(invalid_receipt(index, "belongs to another queue"));
            }
            by_partition
                .entry(receipt.partition)
                .or_default()
                .push(index);
        }
        let mut results = vec![ReceiptResult::Unknown; receipts.len()];
        for (partition, indices) in by_partition {
            let place = route
                .partitions
                .iter()
                .find(|known| known.partition == partition);
            let cluster = place.expect("all were looked up above").cluster;
            let command = |_| wish.command(partition, indices.iter().map(|index| receipts[*index]));
            let answer = app
                .dispatcher
                .execute(cluster, *deadline, Vec::new(), command)
                .await?;
            match answer.reply {
                Outcome::Receipts(done) if done.len() == indices.len() => {
                    for (index, result) in indices.iter().zip(done) {
                        results[*index] = result;
                    }
                }
                other => return Err(unexpected(&other)),
            }
        }
        Ok(results)
    }
}

impl Wish {
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
