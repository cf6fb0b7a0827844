//! Requests as clients send them.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method};
use shoal_sqs::{Incoming, Operation, Protocol, SqsError, read};
use shoal_types::Scope;

/// A request that can be looked at as often as one likes.
#[derive(Clone, Debug)]
pub(crate) struct Sent {
    pub(crate) method: Method,
    pub(crate) path: String,
    pub(crate) query: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Sent {
    /// AWS JSON 1.0.
    pub(crate) fn json(operation: &str, body: impl Into<Bytes>) -> Self {
        let sent = Self {
            method: Method::POST,
            path: "/".to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: body.into(),
        };
        sent.with_header("content-type", "application/x-amz-json-1.0")
            .with_header("x-amz-target", &format!("AmazonSQS.{operation}"))
    }

    /// The query protocol, as a form.
    pub(crate) fn form(operation: &str, parameters: &str) -> Self {
        let body = format!("Action={operation}&Version=2012-11-05&{parameters}");
        let sent = Self {
            method: Method::POST,
            path: "/".to_owned(),
            query: String::new(),
            headers: HeaderMap::new(),
            body: body.into(),
        };
        sent.with_header(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )
    }

    /// The query protocol, in the address.
    pub(crate) fn get(path: &str, query: &str) -> Self {
        Self {
            method: Method::GET,
            path: path.to_owned(),
            query: query.to_owned(),
            headers: HeaderMap::new(),
            body: Bytes::new(),
        }
    }

    pub(crate) fn with_header(mut self, name: &str, value: &str) -> Self {
        let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
        self.headers
            .insert(name, HeaderValue::from_str(value).unwrap());
        self
    }

    pub(crate) fn incoming(&self) -> Incoming<'_> {
        Incoming {
            method: &self.method,
            path: &self.path,
            query: &self.query,
            headers: &self.headers,
            body: &self.body,
        }
    }

    pub(crate) fn protocol(&self) -> Protocol {
        self.incoming().protocol()
    }

    /// What it asks, of a caller of the default scope.
    pub(crate) fn read(&self) -> Result<Operation, SqsError> {
        read(&self.incoming(), &Scope::default())
    }
}
