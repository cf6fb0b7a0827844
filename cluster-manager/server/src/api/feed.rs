//! `/v1/feed`.

use axum::extract::State;
use axum::response::Response;
use http::{StatusCode, Uri};
use shoal_api::manager::FeedQuery;

use super::Api;
use super::answer::{count, json};
use super::request::parameters;

/// Not timed: how long it takes is up to who asks.
pub(super) async fn page(State(api): State<Api>, uri: Uri) -> Response {
    let page = async {
        let asked: FeedQuery = parameters(&uri)?;
        Ok(json(StatusCode::OK, &api.feeds.page(asked).await?))
    };
    count("feed", page.await)
}
