//! What operators look at, as the manager tells: clusters and hosts, what is moved, what was decided.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use serde::Serialize;
use shoal_api::Problem;
use shoal_api::plan::EventQuery;

use super::call::{Call, json};
use super::queues::read_query;
use super::{Shared, body, headers};
use crate::admission::Class;
use crate::app::App;

/// `GET /v1/clusters`
pub(super) async fn clusters(State(app): Shared, request: Request) -> Response {
    let call = Call::begin("list_clusters");
    let asked = app.manager.clusters();
    let shown = passed_on(&app, &call, request, asked).await;
    call.finish(shown)
}

/// `GET /v1/hosts`
pub(super) async fn hosts(State(app): Shared, request: Request) -> Response {
    let call = Call::begin("list_hosts");
    let asked = app.manager.hosts();
    let shown = passed_on(&app, &call, request, asked).await;
    call.finish(shown)
}

/// `GET /v1/moves`
pub(super) async fn moves(State(app): Shared, request: Request) -> Response {
    let call = Call::begin("list_moves");
    let asked = app.manager.moves();
    let shown = passed_on(&app, &call, request, asked).await;
    call.finish(shown)
}

/// `GET /v1/events`
pub(super) async fn events(State(app): Shared, request: Request) -> Response {
    let call = Call::begin("list_events");
    let shown = try_events(&app, &call, request).await;
    call.finish(shown)
}

async fn try_events(app: &App, call: &Call, request: Request) -> Result<Response, Problem> {
    let asked: EventQuery = read_query(&request)?;
    asked.limit()?;
    passed_on(app, call, request, app.manager.events(asked)).await
}

/// What the manager answers, within the request's deadline.
async fn passed_on<T: Serialize>(
    app: &App,
    call: &Call,
    request: Request,
    asked: impl Future<Output = Result<T, Problem>>,
) -> Result<Response, Problem> {
    let taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    Ok(json(StatusCode::OK, &deadline.bound(asked).await?))
}
