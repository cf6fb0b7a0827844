//! `/v1/plan`, `/v1/events` and `/v1/moves`.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use shoal_api::plan::{EventQuery, MoveRequest};
use shoal_types::limits::ID_MAX;

use super::Api;
use super::answer::{answer, json};
use super::request::{body, parameters};
use crate::ranges;

pub(super) async fn plan(State(api): State<Api>) -> Response {
    answer("show_plan", async {
        Ok(json(StatusCode::OK, &api.explained.get()))
    })
    .await
}

pub(super) async fn events(State(api): State<Api>, uri: Uri) -> Response {
    answer("list_events", async {
        let asked: EventQuery = parameters(&uri)?;
        Ok(json(StatusCode::OK, &api.events.page(asked).await?))
    })
    .await
}

pub(super) async fn moves(State(api): State<Api>) -> Response {
    answer("list_moves", async {
        Ok(json(StatusCode::OK, &api.queues.moves()))
    })
    .await
}

pub(super) async fn start_move(State(api): State<Api>, sent: Body) -> Response {
    answer("start_move", async {
        api.whole.check()?;
        let asked: MoveRequest = body(sent).await?;
        ranges::cluster("to", asked.to)?;
        if let Some(partition) = asked.partition {
            ranges::within("partition", partition.0, 1..=ID_MAX)?;
        }
        let begun = api.queues.order_move(asked).await?;
        Ok(json(StatusCode::ACCEPTED, &begun))
    })
    .await
}
