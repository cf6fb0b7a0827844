//! What operators look at: clusters and hosts, as the manager tells.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use shoal_api::Problem;

use super::call::{Call, json};
use super::{Shared, body, headers};
use crate::admission::Class;
use crate::app::App;

/// `GET /v1/clusters`
pub(super) async fn clusters(State(app): Shared, request: Request) -> Response {
    let call = Call::begin("list_clusters");
    let shown = try_clusters(&app, &call, request).await;
    call.finish(shown)
}

async fn try_clusters(app: &App, call: &Call, request: Request) -> Result<Response, Problem> {
    let taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let clusters = deadline.bound(app.manager.clusters()).await?;
    Ok(json(StatusCode::OK, &clusters))
}

/// `GET /v1/hosts`
pub(super) async fn hosts(State(app): Shared, request: Request) -> Response {
    let call = Call::begin("list_hosts");
    let shown = try_hosts(&app, &call, request).await;
    call.finish(shown)
}

async fn try_hosts(app: &App, call: &Call, request: Request) -> Result<Response, Problem> {
    let taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let deadline = headers::deadline(&taken.headers, call.started, Default::default())?;
    let hosts = deadline.bound(app.manager.hosts()).await?;
    Ok(json(StatusCode::OK, &hosts))
}
