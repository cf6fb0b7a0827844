//! `/v1/hosts` and `/v1/clusters`.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use shoal_api::manager::{ChangeRequest, DrainRequest, FormRequest};
use shoal_types::HostStatus;

use super::Api;
use super::answer::{answer, json};
use super::request::{ClusterPart, body, cluster_id};
use crate::orders::{OPERATOR, Ordered};

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

pub(super) async fn form(State(api): State<Api>, sent: Body) -> Response {
    answer("form_cluster", async {
        api.whole.check()?;
        let asked: FormRequest = body(sent).await?;
        let Ordered { cluster, is_new } = api.orders.form(asked).await?;
        let status = if is_new {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        Ok(json(status, &cluster))
    })
    .await
}

pub(super) async fn change(State(api): State<Api>, part: ClusterPart, sent: Body) -> Response {
    answer("change_members", async {
        api.whole.check()?;
        let cluster = cluster_id(part)?;
        let asked: ChangeRequest = body(sent).await?;
        let Ordered { cluster, is_new } = api.orders.change(cluster, asked, OPERATOR).await?;
        let done = !is_new && cluster.change.is_none();
        let status = if done {
            StatusCode::OK
        } else {
            StatusCode::ACCEPTED
        };
        Ok(json(status, &cluster))
    })
    .await
}

pub(super) async fn drain(State(api): State<Api>, part: ClusterPart, sent: Body) -> Response {
    answer("drain_cluster", async {
        api.whole.check()?;
        let cluster = cluster_id(part)?;
        let asked: DrainRequest = body(sent).await?;
        let Ordered { cluster, .. } = api.orders.drain(cluster, asked).await?;
        Ok(json(StatusCode::OK, &cluster))
    })
    .await
}
