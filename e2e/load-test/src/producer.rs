//! A producer: takes the next send that is due, sends it, enters the answer.

use std::sync::Arc;

use crate::arrival::Arrivals;
use crate::backlog::Backlog;
use crate::limits;
use crate::load::Shared;
use crate::meter::Operation;
use crate::service::Service;

/// Sends until there are no more arrivals.
pub(crate) async fn produce<S: Service>(
    shared: Arc<Shared<S>>,
    arrivals: Arc<Arrivals>,
    backlog: Arc<Backlog>,
) {
    let batch = shared.plan.batch as u32;
    while arrivals
        .before_the_end(backlog.enter(batch))
        .await
        .is_some()
        && let Some(arrival) = arrivals.next().await
    {
        let queue = (arrival.index % shared.queues.len() as u64) as usize;
        let sending = shared.ledger.begin_send(queue, batch, arrival.intended);
        let messages = shared.ledger.messages(sending, shared.plan.body_bytes);
        let answer = shared.service.send(&shared.queues[queue], messages).await;
        let ended = shared.timeline.now();
        let accepted = shared.ledger.end_send(sending, &answer) as usize;
        backlog.leave(shared.plan.batch - accepted);
        match answer {
            Ok(_) => {
                shared
                    .meter
                    .succeeded(Operation::Send, queue, accepted, arrival.intended, ended);
            }
            Err(failure) => {
                shared.meter.failed(Operation::Send, &failure);
                tokio::time::sleep(limits::PAUSE_AFTER_FAILURE).await;
            }
        }
    }
}
