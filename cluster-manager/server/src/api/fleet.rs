//! `/v1/hosts` and `/v1/clusters`.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use shoal_types::HostStatus;

use super::Api;
use super::answer::{answer, json};
use super::request::body;

pub(super) async fn heartbeat(State(api): State<Api>, sent: Body) -> Response {
    answer("heartbeat", async {
        let status: HostStatus = body(sent).await?;
        Ok(json(StatusCode::OK, &api.heartbeats.take(status).await?))
    })
    .await
}

pub(super) async fn hosts(State(api): State<Api>) -> Response {
    answer("list_hosts", async {
        Ok(json(StatusCode::OK, &api.fleet.host_infos()))
    })
    .await
}

pub(super) async fn clusters(State(api): State<Api>) -> Response {
    answer("list_clusters", async {
        Ok(json(StatusCode::OK, &api.fleet.cluster_infos()))
    })
    .await
}
