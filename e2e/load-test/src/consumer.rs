//! A consumer: receives, enters what it got, acknowledges it.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use crate::backlog::Backlog;
use crate::limits;
use crate::load::Shared;
use crate::meter::Operation;
use crate::service::{Received, Service};

/// Receives and acknowledges until told to stop. A receive under way is then abandoned, an
/// acknowledge is not.
pub(crate) async fn consume<S: Service>(
    shared: Arc<Shared<S>>,
    queue: usize,
    backlog: Arc<Backlog>,
    stop: CancellationToken,
) {
    while let Some(messages) = stop
        .run_until_cancelled(receive(&shared, queue, &backlog))
        .await
    {
        if !messages.is_empty() {
            acknowledge(&shared, queue, messages).await;
        }
    }
}

/// One receive; gives the ledger's indices and receipts of the messages that are ours.
async fn receive<S: Service>(
    shared: &Shared<S>,
    queue: usize,
    backlog: &Backlog,
) -> Vec<(u32, String)> {
    let plan = &shared.plan;
    let name = &shared.queues[queue];
    let began = shared.timeline.now();
    let receive = shared.ledger.begin_receive(began);
    let answer = shared
        .service
        .receive(name, plan.receive_batch, plan.wait)
        .await;
    let ended = shared.timeline.now();
    let messages = match answer {
        Ok(messages) => messages,
        Err(failure) => {
            shared.meter.failed(Operation::Receive, &failure);
            tokio::time::sleep(limits::PAUSE_AFTER_FAILURE).await;
            return Vec::new();
        }
    };
    shared
        .meter
        .succeeded(Operation::Receive, queue, messages.len(), began, ended);
    let enter = |message: Received| {
        let delivered = shared.ledger.delivered(queue, &message, receive, ended)?;
        if let Some(intended) = delivered.first_since {
            shared.meter.arrived(intended, ended);
            backlog.leave(1);
        }
        Some((delivered.index, message.receipt))
    };
    messages.into_iter().filter_map(enter).collect()
}

async fn acknowledge<S: Service>(shared: &Shared<S>, queue: usize, messages: Vec<(u32, String)>) {
    let (indices, receipts): (Vec<u32>, Vec<String>) = messages.into_iter().unzip();
    let name = &shared.queues[queue];
    let began = shared.timeline.now();
    shared.ledger.begin_delete(queue, &indices);
    let answer = shared.service.acknowledge(name, receipts).await;
    let ended = shared.timeline.now();
    let deleted = shared.ledger.end_delete(queue, &indices, &answer, ended) as usize;
    match answer {
        Ok(_) => {
            shared
                .meter
                .succeeded(Operation::Acknowledge, queue, deleted, began, ended);
        }
        Err(failure) => {
            shared.meter.failed(Operation::Acknowledge, &failure);
            tokio::time::sleep(limits::PAUSE_AFTER_FAILURE).await;
        }
    }
}
