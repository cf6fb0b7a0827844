//! What a load needs from a message queue. One implementation is REST; the tests have another one
//! that breaks promises on purpose.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use shoal_types::Applied;

/// A message queue under load. Clones share connections.
///
/// No operation retries what may have been applied: what fails for a user must fail here.
pub trait Service: Clone + Send + Sync + 'static {
    /// Makes a queue that is not there yet; a FIFO queue if its name says so. With `auto` it may be split.
    fn create_queue(
        &self,
        queue: &str,
        visibility: Duration,
        auto: bool,
    ) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Drops a queue with what is in it.
    fn delete_queue(&self, queue: &str) -> impl Future<Output = Result<(), Failure>> + Send;

    /// Sends a batch; one answer per message, in order.
    fn send(
        &self,
        queue: &str,
        messages: Vec<Outgoing>,
    ) -> impl Future<Output = Result<Vec<SendAnswer>, Failure>> + Send;

    /// Leases up to `max` messages, waiting up to `wait` for the first.
    fn receive(
        &self,
        queue: &str,
        max: usize,
        wait: Duration,
    ) -> impl Future<Output = Result<Vec<Received>, Failure>> + Send;

    /// Deletes leased messages; per receipt whether it was done.
    fn acknowledge(
        &self,
        queue: &str,
        receipts: Vec<String>,
    ) -> impl Future<Output = Result<Vec<bool>, Failure>> + Send;

    /// How many messages are there, ready, leased or delayed.
    fn waiting(&self, queue: &str) -> impl Future<Output = Result<u64, Failure>> + Send;
}

/// A message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// What it says.
    pub body: Bytes,
    /// Its group; messages to FIFO queues have one.
    pub group: Option<String>,
    /// Says that two sends are the same; with a group only.
    pub key: Option<String>,
}

/// What became of one message of a send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SendAnswer {
    /// Kept under this number.
    Accepted(u64),
    /// Certainly not kept; the reason's code.
    Refused(String),
    /// Nobody knows whether it was kept; the reason's code.
    Unknown(String),
}

/// A message in a consumer's hands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// Its number.
    pub sequence: u64,
    /// Names the lease.
    pub receipt: String,
    /// The body as it arrived.
    pub body: Bytes,
}

/// An operation that failed for its user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// A short name for the table of failures: an error code or `connection`.
    pub code: String,
    /// The reason for people.
    pub detail: String,
    /// Whether it may have taken effect all the same.
    pub applied: Applied,
}

impl std::error::Error for Failure {}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}
