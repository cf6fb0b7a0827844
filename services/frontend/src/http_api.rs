//! The clients' listener: which of the two APIs a request is for. What REST has no path for may be SQS.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::response::Response;
use http::request::Parts;
use shoal_runtime::http::HeadRefusal;

use crate::app::App;
use crate::{rest, sqs};

/// All routes of both.
pub(crate) fn router(app: Arc<App>) -> Router {
    rest::routes().fallback(no_path_of_rest).with_state(app)
}

async fn no_path_of_rest(State(app): State<Arc<App>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let is_sqs = sqs::is_asked(&head);
    let request = Request::from_parts(head, body);
    if is_sqs {
        sqs::answer(&app, request).await
    } else {
        rest::not_found(&request)
    }
}

/// What a request is answered that took longer than a stopping frontend can wait. In REST's words: SDKs of SQS
/// go by the status.
pub(crate) fn cut_off() -> Response {
    rest::cut_off()
}

/// What the HTTP server refuses before any handler sees it.
pub(crate) fn refuse(refusal: &HeadRefusal, head: &Parts) -> Response {
    if sqs::is_asked(head) {
        sqs::refuse(refusal, head)
    } else {
        rest::refuse(refusal)
    }
}
