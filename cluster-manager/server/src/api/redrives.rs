//! `/v1/redrives`.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use shoal_api::redrive::{CancelRedrive, RedriveQuery, RedriveRequest};

use super::Api;
use super::answer::{answer, json};
use super::request::{QueuePart, body, parameters, queue_name};

pub(super) async fn start(State(api): State<Api>, sent: Body) -> Response {
    answer("start_redrive", async {
        api.whole.check()?;
        let asked: RedriveRequest = body(sent).await?;
        let begun = api.queues.start_redrive(asked).await?;
        Ok(json(StatusCode::CREATED, &begun))
    })
    .await
}

pub(super) async fn list(State(api): State<Api>, uri: Uri) -> Response {
    answer("list_redrives", async {
        api.whole.check()?;
        let asked: RedriveQuery = parameters(&uri)?;
        Ok(json(
            StatusCode::OK,
            &api.queues.redrives(&asked.queue).await?,
        ))
    })
    .await
}

pub(super) async fn cancel(State(api): State<Api>, part: QueuePart, sent: Body) -> Response {
    answer("cancel_redrive", async {
        api.whole.check()?;
        let name = queue_name(part)?;
        let CancelRedrive { task } = body(sent).await?;
        Ok(json(
            StatusCode::OK,
            &api.queues.cancel_redrive(&name, task).await?,
        ))
    })
    .await
}
