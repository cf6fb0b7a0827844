//! `/v1/queues`.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use shoal_api::manager::RouteList;
use shoal_api::{Problem, QueueListQuery};
use shoal_types::{QueueName, QueueSettings};

use super::Api;
use super::answer::{answer, json, no_content};
use super::request::{QueuePart, body, parameters, queue_name};

/// Queues of a page if the request does not say.
const PAGE: u64 = 100;

pub(super) async fn create(State(api): State<Api>, part: QueuePart, sent: Body) -> Response {
    answer("create_queue", async {
        api.whole.check()?;
        let name = queue_name(part)?;
        let settings: QueueSettings = body(sent).await?;
        let (route, is_new) = api.queues.create(&name, settings).await?;
        Ok(json(
            if is_new {
                StatusCode::CREATED
            } else {
                StatusCode::OK
            },
            &route,
        ))
    })
    .await
}

pub(super) async fn change(State(api): State<Api>, part: QueuePart, sent: Body) -> Response {
    answer("change_queue", async {
        api.whole.check()?;
        let name = queue_name(part)?;
        let settings: QueueSettings = body(sent).await?;
        Ok(json(
            StatusCode::OK,
            &api.queues.change(&name, settings).await?,
        ))
    })
    .await
}

pub(super) async fn delete(State(api): State<Api>, part: QueuePart) -> Response {
    answer("delete_queue", async {
        api.whole.check()?;
        api.queues.delete(&queue_name(part)?).await?;
        Ok(no_content())
    })
    .await
}

pub(super) async fn show(State(api): State<Api>, part: QueuePart) -> Response {
    answer("show_queue", async {
        api.whole.check()?;
        Ok(json(
            StatusCode::OK,
            &api.queues.get(&queue_name(part)?).await?,
        ))
    })
    .await
}

pub(super) async fn list(State(api): State<Api>, uri: Uri) -> Response {
    answer("list_queues", async {
        api.whole.check()?;
        let asked: QueueListQuery = parameters(&uri)?;
        let after = asked.cursor.as_deref().map(cursor).transpose()?;
        let limit = asked.limit.map_or(PAGE, |limit| limit.get()) as usize;
        let page = api
            .queues
            .list(&asked.prefix, after.as_ref(), limit)
            .await?;
        let next_cursor = page.next.map(|name| name.to_string());
        Ok(json(
            StatusCode::OK,
            &RouteList {
                queues: page.queues,
                next_cursor,
            },
        ))
    })
    .await
}

/// The last name of the page before.
fn cursor(text: &str) -> Result<QueueName, Problem> {
    text.parse()
        .map_err(|_| Problem::invalid("cursor", "is none that was given out here"))
}
