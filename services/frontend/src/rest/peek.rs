//! Looking at messages without receiving them.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use shoal_api::{PeekAnswer, PeekQuery, PeekedMessage, Problem};
use shoal_types::{Query, QueryReply, QueueRoute};

use super::call::{Call, json};
use super::path::{QueuePart, queue_name};
use super::queues::read_query;
use super::{Shared, body, headers};
use crate::admission::Class;
use crate::app::{App, QueueOperation};
use crate::dispatch::Deadline;
use crate::limits::PEEK_LIMIT_DEFAULT;
use crate::operations;
use crate::partitions::{for_receives, in_partition, is_drained};

/// `GET /v1/queues/{queue}/messages/peek`
pub(super) async fn peek(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("peek");
    let peeked = try_peek(&app, &call, queue, request).await;
    call.finish(peeked)
}

async fn try_peek(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let asked: PeekQuery = read_query(&request)?;
    let taken = body::take(&app.admission, Class::Receive, request, 0).await?;
    let name = queue_name(queue)?;
    let limit = asked.limit.map_or(PEEK_LIMIT_DEFAULT, |limit| limit.get()) as usize;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let answer = app
        .on_queue(&name, deadline, &mut Peek { limit, deadline })
        .await?;
    Ok(json(StatusCode::OK, &answer))
}

struct Peek {
    limit: usize,
    deadline: Deadline,
}

impl QueueOperation for Peek {
    type Done = PeekAnswer;

    async fn run(&mut self, app: &App, route: &QueueRoute) -> Result<PeekAnswer, Problem> {
        let several = for_receives(route).nth(1).is_some();
        let mut messages = Vec::new();
        for place in for_receives(route) {
            let room = self.limit - messages.len();
            if room == 0 {
                break;
            }
            let query = Query::Peek {
                partition: place.partition,
                limit: room as u16,
            };
            let answer = app.dispatcher.query(place.cluster, self.deadline, query);
            let answer = match answer.await.map_err(Problem::from) {
                Ok(answer) => answer,
                Err(problem) if is_drained(place, &problem) => continue,
                Err(problem) if several => return Err(in_partition(place, &problem)),
                Err(problem) => return Err(problem),
            };
            let QueryReply::Peeked(peeked) = answer.reply else {
                continue;
            };
            messages.extend(
                peeked
                    .into_iter()
                    .zip(answer.bodies)
                    .filter_map(|(peeked, bytes)| {
                        let message =
                            operations::read(place.partition, peeked.sequence, peeked.crc, &bytes)?;
                        Some(PeekedMessage::new(place.partition, peeked, message.payload))
                    }),
            );
        }
        Ok(PeekAnswer { messages })
    }
}
