//! Reading requests so that a mistake is answered with the part it is in.

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, Query};
use http::Uri;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use shoal_api::{Problem, json, query};
use shoal_runtime::http::BodyError;
use shoal_types::{ClusterId, ErrorCode, QueueName};

use crate::limits::API_BODY_BYTES_MAX;
use crate::ranges;

/// The path part, decoded by the router; it may not be UTF-8.
pub(super) type QueuePart = Result<Path<String>, PathRejection>;

/// The queue's name, checked.
pub(super) fn queue_name(part: QueuePart) -> Result<QueueName, Problem> {
    match part {
        Ok(Path(name)) => name
            .parse()
            .map_err(|error| Problem::invalid("queue", error)),
        Err(rejection) => Err(Problem::invalid("queue", rejection.body_text())),
    }
}

/// The path part that names a cluster.
pub(super) type ClusterPart = Result<Path<String>, PathRejection>;

/// The cluster's id, checked.
pub(super) fn cluster_id(part: ClusterPart) -> Result<ClusterId, Problem> {
    let text = match part {
        Ok(Path(text)) => text,
        Err(rejection) => return Err(Problem::invalid("cluster", rejection.body_text())),
    };
    let is_none = |_| Problem::invalid("cluster", format!("{text:?} is no id: c and hex digits"));
    let cluster = text.parse().map_err(is_none)?;
    ranges::cluster("cluster", cluster)?;
    Ok(cluster)
}

/// The parameters of a query.
pub(super) fn parameters<T: DeserializeOwned>(uri: &Uri) -> Result<T, Problem> {
    let pairs = Query::<Vec<(String, String)>>::try_from_uri(uri);
    let Query(pairs) = pairs.map_err(|error| Problem::invalid("query", error.body_text()))?;
    query::read(pairs)
}

/// A body in JSON, whatever its content type says: no browser is to come here.
pub(super) async fn body<T: DeserializeOwned>(body: Body) -> Result<T, Problem> {
    match Limited::new(body, API_BODY_BYTES_MAX).collect().await {
        Ok(collected) => json::read(&collected.to_bytes()),
        Err(error) => Err(broken(&*error)),
    }
}

fn broken(error: &(dyn std::error::Error + Send + Sync + 'static)) -> Problem {
    let too_large = || {
        let detail = format!("body: larger than {API_BODY_BYTES_MAX} bytes");
        Problem::new(ErrorCode::TooLarge, detail).at("body")
    };
    if error.is::<LengthLimitError>() {
        return too_large();
    }
    let invalid = |detail: String| Problem::new(ErrorCode::InvalidRequest, detail).at("body");
    match BodyError::of(error) {
        Some(BodyError::TooLarge { .. }) => too_large(),
        // 408: the one status for it, and the code says what it comes down to.
        Some(late @ BodyError::TimedOut { .. }) => invalid(late.to_string()).status(408),
        _ => invalid("the body is cut off or malformed".to_owned()),
    }
}
