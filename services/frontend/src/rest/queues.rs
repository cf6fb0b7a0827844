//! Queues: create, show, list, change, delete.

use axum::extract::{Query, Request, State};
use axum::response::Response;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use shoal_api::{Field, Problem, QueueBody, QueueInfo, QueueList, QueueListQuery, query};
use shoal_types::{Applied, QueueName, Scope};
use tracing::debug;

use super::call::{Call, json, no_content};
use super::path::{QueuePart, queue_name};
use super::{Shared, body, headers};
use crate::admission::Class;
use crate::app::App;
use crate::dispatch::Deadline;
use crate::limits::{COUNTED_WITHIN, LIST_LIMIT_DEFAULT, SETTINGS_BODY_BYTES_MAX};
use crate::operations::counts;

/// `PUT /v1/queues/{queue}`
pub(super) async fn create(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("create_queue");
    let done = try_create(&app, &call, queue, request).await;
    call.finish(done)
}

async fn try_create(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let taken = body::take(
        &app.admission,
        Class::Finish,
        request,
        SETTINGS_BODY_BYTES_MAX,
    )
    .await?;
    let name = queue_name(queue)?;
    let settings = taken.json_or_default::<QueueBody>()?.create(&name)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let created = app.manager.create(&name, &settings);
    let (route, is_new) = deadline.bound(created).await?;
    let route = app.routes.insert(route);
    let status = if is_new {
        StatusCode::CREATED
    } else {
        StatusCode::OK
    };
    Ok(json(status, &QueueInfo::new(&route)))
}

/// `PATCH /v1/queues/{queue}`
pub(super) async fn change(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("change_queue");
    let done = try_change(&app, &call, queue, request).await;
    call.finish(done)
}

async fn try_change(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let taken = body::take(
        &app.admission,
        Class::Finish,
        request,
        SETTINGS_BODY_BYTES_MAX,
    )
    .await?;
    let name = queue_name(queue)?;
    let change = taken.json::<QueueBody>()?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    // The manager's word and not the cached one, so that an earlier change is not undone.
    let now = deadline
        .bound(app.manager.queue(&name))
        .await
        .map_err(|p| p.applied(Applied::No))?;
    let settings = change.change(now.settings, &name)?;
    let route = deadline.bound(app.manager.change(&name, &settings)).await?;
    Ok(json(
        StatusCode::OK,
        &QueueInfo::new(&app.routes.insert(route)),
    ))
}

/// `DELETE /v1/queues/{queue}`
pub(super) async fn delete(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("delete_queue");
    let done = try_delete(&app, &call, queue, request).await;
    call.finish(done)
}

async fn try_delete(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let name = queue_name(queue)?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    // What is deleted is at least what is known here; a queue made anew since is newer.
    let known = app.routes.known(&name);
    deadline.bound(app.manager.delete(&name)).await?;
    if let Some(known) = known {
        app.routes.remove(&name, known.revision);
    }
    Ok(no_content())
}

/// `GET /v1/queues/{queue}`
pub(super) async fn show(State(app): Shared, queue: QueuePart, request: Request) -> Response {
    let call = Call::begin("show_queue");
    let shown = try_show(&app, &call, queue, request).await;
    call.finish(shown)
}

async fn try_show(
    app: &App,
    call: &Call,
    queue: QueuePart,
    request: Request,
) -> Result<Response, Problem> {
    let taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let route = app.find(&queue_name(queue)?, deadline).await?;
    // Settings and places are worth showing even while the cluster cannot be asked.
    let soon = Deadline {
        at: deadline.at.min(call.started + COUNTED_WITHIN),
        ..deadline
    };
    let counts = match counts(app, &route, soon).await {
        Ok(counts) => Field::Value(counts),
        Err(problem) => {
            debug!(queue = %route.name, %problem, "shown without its counts");
            Field::Null
        }
    };
    Ok(json(
        StatusCode::OK,
        &QueueInfo {
            counts,
            ..QueueInfo::new(&route)
        },
    ))
}

/// `GET /v1/queues`
pub(super) async fn list(State(app): Shared, request: Request) -> Response {
    Call::begin("list_queues").finish(try_list(&app, request).await)
}

async fn try_list(app: &App, request: Request) -> Result<Response, Problem> {
    let asked: QueueListQuery = read_query(&request)?;
    let _taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let after = asked.cursor.as_deref().map(read_cursor).transpose()?;
    let limit = asked.limit.map_or(LIST_LIMIT_DEFAULT, |limit| limit.get()) as usize;
    let routes = &app.routes;
    let (page, more) = routes.list(
        &Scope::default(),
        &asked.prefix,
        after.as_ref(),
        limit,
        |_| true,
    )?;
    let next_cursor = page.last().filter(|_| more).map(|last| cursor(&last.name));
    let queues = page.iter().map(|route| QueueInfo::new(route)).collect();
    Ok(json(
        StatusCode::OK,
        &QueueList {
            queues,
            next_cursor,
        },
    ))
}

/// The query part of a request's URL.
pub(super) fn read_query<T: serde::de::DeserializeOwned>(request: &Request) -> Result<T, Problem> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let Query(pairs) = pairs.map_err(|e| Problem::invalid("query", e.body_text()))?;
    query::read(pairs)
}

/// Where a page ended: the last name, encoded so that nobody takes it for something to compute with.
fn cursor(name: &QueueName) -> String {
    URL_SAFE_NO_PAD.encode(name.as_str())
}

fn read_cursor(cursor: &str) -> Result<QueueName, Problem> {
    let name = URL_SAFE_NO_PAD
        .decode(cursor)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok());
    name.and_then(|name| name.parse().ok())
        .ok_or_else(|| Problem::invalid("cursor", "is none that a list gave"))
}
