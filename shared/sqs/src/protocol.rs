//! How a client speaks, and therefore how it is answered.

use http::{HeaderMap, Method, header};

/// One of SQS's two protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// AWS JSON 1.0: the operation in the header `x-amz-target`, its members as a JSON object.
    Json,
    /// The query protocol: parameters in a form or the query string, the answer in XML.
    Query,
}

/// Where a JSON request names its operation.
pub(crate) const TARGET_HEADER: &str = "x-amz-target";

impl Protocol {
    /// What a request with these headers speaks: JSON if it says so, by its content type or by naming a
    /// target; else the query protocol.
    #[must_use]
    pub fn of(method: &Method, headers: &HeaderMap) -> Self {
        let json = headers
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .is_some_and(|value| media_type(value).starts_with("application/x-amz-json-"));
        if method == Method::POST && (json || headers.contains_key(TARGET_HEADER)) {
            Self::Json
        } else {
            Self::Query
        }
    }

    /// The content type of its answers.
    #[must_use]
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Json => "application/x-amz-json-1.0",
            Self::Query => "text/xml",
        }
    }
}

/// A content type without its parameters, in lower case.
pub(crate) fn media_type(value: &str) -> String {
    let essence = value.split(';').next().unwrap_or_default();
    essence.trim().to_ascii_lowercase()
}
