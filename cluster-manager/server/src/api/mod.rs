//! The manager's HTTP API; bodies and paths as in `shoal_api::manager`.

mod answer;
mod feed;
mod fleet;
mod plan;
mod queues;
mod rebuild;
mod redrives;
mod request;

use std::sync::Arc;

use axum::Router;
use axum::response::Response;
use axum::routing::{get, post};
use http::request::Parts;
use http::{Method, StatusCode};
use shoal_api::Problem;
use shoal_api::manager::{CLUSTERS_PATH, FEED_PATH, HEARTBEAT_PATH, HOSTS_PATH, QUEUES_PATH};
use shoal_api::plan::{EVENTS_PATH, MOVES_PATH, PLAN_PATH};
use shoal_api::rebuild::REBUILD_PATH;
use shoal_api::redrive::REDRIVES_PATH;
use shoal_runtime::http::HeadRefusal;
use shoal_types::ErrorCode;

use crate::events::EventLog;
use crate::feed::Feeds;
use crate::fleet::Fleet;
use crate::heartbeats::Heartbeats;
use crate::orders::Orders;
use crate::planning::Explained;
use crate::queues::Queues;
use crate::rebuild::Rebuild;
use crate::whole::Whole;
use answer::answer;

/// What requests are about.
#[derive(Clone)]
pub(crate) struct Api {
    pub(crate) queues: Arc<Queues>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) heartbeats: Heartbeats,
    pub(crate) feeds: Feeds,
    pub(crate) orders: Orders,
    pub(crate) events: Arc<EventLog>,
    pub(crate) explained: Arc<Explained>,
    pub(crate) whole: Arc<Whole>,
    pub(crate) rebuild: Arc<Rebuild>,
}

/// Every path of the API.
pub(crate) fn router(api: Api) -> Router {
    let one_queue = get(queues::show)
        .put(queues::create)
        .patch(queues::change)
        .delete(queues::delete);
    Router::new()
        .route(HEARTBEAT_PATH, post(fleet::heartbeat))
        .route(HOSTS_PATH, get(fleet::hosts))
        .route(CLUSTERS_PATH, get(fleet::clusters).post(fleet::form))
        .route(
            &format!("{CLUSTERS_PATH}/{{cluster}}/changes"),
            post(fleet::change),
        )
        .route(
            &format!("{CLUSTERS_PATH}/{{cluster}}/drain"),
            post(fleet::drain),
        )
        .route(PLAN_PATH, get(plan::plan))
        .route(EVENTS_PATH, get(plan::events))
        .route(MOVES_PATH, get(plan::moves).post(plan::start_move))
        .route(REDRIVES_PATH, get(redrives::list).post(redrives::start))
        .route(
            &format!("{REDRIVES_PATH}/{{queue}}/cancel"),
            post(redrives::cancel),
        )
        .route(QUEUES_PATH, get(queues::list))
        .route(&format!("{QUEUES_PATH}/{{queue}}"), one_queue)
        .route(FEED_PATH, get(feed::page))
        .route(REBUILD_PATH, get(rebuild::show).post(rebuild::begin))
        .fallback(no_such_path)
        .method_not_allowed_fallback(no_such_method)
        .with_state(api)
}

async fn no_such_path(uri: http::Uri) -> Response {
    let detail = format!("there is nothing at {}", uri.path());
    answer("unknown", async {
        Err(Problem::new(ErrorCode::NotFound, detail))
    })
    .await
}

async fn no_such_method(method: Method, uri: http::Uri) -> Response {
    let detail = format!("{} does not take {method}", uri.path());
    answer("unknown", async {
        Err(Problem::new(ErrorCode::MethodNotAllowed, detail))
    })
    .await
}

/// What the HTTP server refuses before any handler sees it, in this API's words.
pub(crate) fn refuse(refusal: &HeadRefusal, _head: &Parts) -> Response {
    let problem = Problem::new(refusal.code, refusal.detail.clone());
    let problem = match refusal.status {
        StatusCode::PAYLOAD_TOO_LARGE => problem.at("body"),
        other => problem.status(other.as_u16()),
    };
    answer::count("unknown", Err(problem))
}
