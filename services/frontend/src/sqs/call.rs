//! One request from its head to its answer: its name, its clock, its metrics.

use axum::body::Body;
use axum::response::Response;
use metrics::{counter, histogram};
use shoal_sqs::{Answer, Fault, OperationName, Protocol, SqsError, write_answer, write_error};
use shoal_types::RequestId;
use tokio::time::Instant;
use tracing::{debug, error};

use crate::metric_names;

/// A request under way.
pub(super) struct Call {
    pub(super) started: Instant,
    protocol: Protocol,
    /// What it asks; a metric's label. Known once it was read.
    operation: &'static str,
    id: RequestId,
}

impl Call {
    pub(super) fn begin(protocol: Protocol) -> Self {
        Self {
            started: Instant::now(),
            protocol,
            operation: "unknown",
            id: RequestId(rand::random()),
        }
    }

    /// It asks this.
    pub(super) fn is(&mut self, operation: OperationName) {
        self.operation = operation.as_str();
    }

    /// The answer, counted and named.
    pub(super) fn finish(self, result: Result<Answer, SqsError>) -> Response {
        let id = self.id();
        let (outcome, response) = match &result {
            Ok(answer) => ("ok", write_answer(self.protocol, answer, &id)),
            Err(error) => {
                self.log(error, &id);
                let response = write_error(self.protocol, error, &id);
                (error.kind.query_code(), response)
            }
        };
        counter!(metric_names::REQUESTS, "operation" => self.operation, "result" => outcome)
            .increment(1);
        histogram!(metric_names::REQUEST_SECONDS, "operation" => self.operation)
            .record(self.started.elapsed().as_secs_f64());
        response.map(Body::from)
    }

    /// As AWS writes it: like a UUID.
    fn id(&self) -> String {
        let hex = self.id.to_string();
        let parts = [
            &hex[..8],
            &hex[8..12],
            &hex[12..16],
            &hex[16..20],
            &hex[20..],
        ];
        parts.join("-")
    }

    /// Faults of ours always; what clients do wrong only for those who look.
    fn log(&self, refused: &SqsError, request: &str) {
        let operation = self.operation;
        if refused.kind.http_status() == 500 {
            error!(request, operation, %refused, "request failed");
        } else {
            let ours = refused.kind.fault() == Fault::Receiver;
            debug!(request, operation, %refused, ours, "request refused");
        }
    }
}
