//! `/v1/rebuild`.

use axum::body::Body;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use shoal_api::rebuild::RebuildRequest;

use super::Api;
use super::answer::{answer, json};
use super::request::body;
use crate::ranges;

pub(super) async fn begin(State(api): State<Api>, sent: Body) -> Response {
    answer("rebuild", async {
        let asked: RebuildRequest = body(sent).await?;
        for cluster in &asked.without {
            ranges::cluster("without", *cluster)?;
        }
        api.rebuild.begin(asked)?;
        Ok(json(StatusCode::ACCEPTED, &api.rebuild.info()))
    })
    .await
}

pub(super) async fn show(State(api): State<Api>) -> Response {
    answer("show_rebuild", async {
        Ok(json(StatusCode::OK, &api.rebuild.info()))
    })
    .await
}
