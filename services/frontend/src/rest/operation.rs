//! What operators look at: clusters and hosts, as the manager tells.

use axum::extract::{Request, State};
use axum::response::Response;
use http::StatusCode;
use shoal_api::Problem;

use super::call::{Call, json};
use super::{Shared, body};
use crate::admission::Class;
use crate::app::App;

/// `GET /v1/clusters`
pub(super) async fn clusters(State(app): Shared, request: Request) -> Response {
    Call::begin("list_clusters").finish(try_clusters(&app, request).await)
}

async fn try_clusters(app: &App, request: Request) -> Result<Response, Problem> {
    let _taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let clusters = app.manager.clusters().await?;
    Ok(json(StatusCode::OK, &clusters))
}

/// `GET /v1/hosts`
pub(super) async fn hosts(State(app): Shared, request: Request) -> Response {
    Call::begin("list_hosts").finish(try_hosts(&app, request).await)
}

async fn try_hosts(app: &App, request: Request) -> Result<Response, Problem> {
    let _taken = body::take(&app.admission, Class::Finish, request, 0).await?;
    let hosts = app.manager.hosts().await?;
    Ok(json(StatusCode::OK, &hosts))
}
