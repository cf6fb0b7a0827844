//! The API's description of itself.

use std::sync::LazyLock;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderValue, header};

use super::call::Call;

static DOCUMENT: LazyLock<Bytes> = LazyLock::new(|| shoal_api::openapi::text().into());

/// `GET /openapi.json`
pub(super) async fn document() -> Response {
    let mut response = Response::new(Body::from(DOCUMENT.clone()));
    let content_type = HeaderValue::from_static("application/json");
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, content_type);
    Call::begin("openapi").finish(Ok(response))
}
