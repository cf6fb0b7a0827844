//! The REST API: one file per resource, and what they have in common.

mod body;
mod call;
mod headers;
mod openapi;
mod operation;
mod path;
mod peek;
mod purge;
mod queues;
mod receipts;
mod receive;
mod redrive;
mod send;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use axum::routing::{get, post, put};
use http::StatusCode;
use shoal_api::Problem;
use shoal_runtime::http::HeadRefusal;
use shoal_types::{Applied, ErrorCode};

use crate::app::App;
use call::Call;

type Shared = State<Arc<App>>;

/// All routes; those of `shoal_api::routes::ROUTES`.
pub(crate) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/v1/queues", get(queues::list))
        .route(
            "/v1/queues/{queue}",
            put(queues::create)
                .get(queues::show)
                .patch(queues::change)
                .delete(queues::delete),
        )
        .route("/v1/queues/{queue}/messages", post(send::send))
        .route(
            "/v1/queues/{queue}/messages/receive",
            post(receive::receive),
        )
        .route(
            "/v1/queues/{queue}/messages/ack",
            post(receipts::acknowledge),
        )
        .route("/v1/queues/{queue}/messages/extend", post(receipts::extend))
        .route(
            "/v1/queues/{queue}/messages/release",
            post(receipts::release),
        )
        .route("/v1/queues/{queue}/messages/peek", get(peek::peek))
        .route("/v1/queues/{queue}/purge", post(purge::purge))
        .route(
            "/v1/queues/{queue}/redrive",
            post(redrive::start)
                .get(redrive::list)
                .delete(redrive::cancel),
        )
        .route("/v1/clusters", get(operation::clusters))
        .route("/v1/hosts", get(operation::hosts))
        .route("/v1/moves", get(operation::moves))
        .route("/v1/events", get(operation::events))
        .route("/openapi.json", get(openapi::document))
        .method_not_allowed_fallback(method_not_allowed)
}

/// Of a path that is nobody's.
pub(crate) fn not_found(request: &Request) -> Response {
    let detail = format!("there is no path {}", request.uri().path());
    Call::begin("unknown").finish(Err(Problem::new(ErrorCode::NotFound, detail)))
}

async fn method_not_allowed(request: Request) -> Response {
    let detail = format!(
        "{} does not take {}",
        request.uri().path(),
        request.method()
    );
    Call::begin("unknown").finish(Err(Problem::new(ErrorCode::MethodNotAllowed, detail)))
}

/// What a request is answered that took longer than a stopping frontend can wait.
pub(crate) fn cut_off() -> Response {
    let problem = Problem::new(ErrorCode::DeadlineExceeded, "the frontend stops");
    Call::begin("unknown").finish(Err(problem.applied(Applied::Unknown)))
}

/// What the HTTP server refuses before any handler sees it, in this API's words.
pub(crate) fn refuse(refusal: &HeadRefusal) -> Response {
    let problem = Problem::new(refusal.code, refusal.detail.clone());
    let problem = problem.status(refusal.status.as_u16());
    let problem = match refusal.status {
        StatusCode::PAYLOAD_TOO_LARGE => problem.at("body"),
        _ => problem,
    };
    Call::begin("unknown").finish(Err(problem))
}
