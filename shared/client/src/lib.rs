//! The Rust client of Shoal's REST API.
//!
//! ```no_run
//! # async fn example() -> Result<(), shoal_client::ClientError> {
//! let shoal = shoal_client::Client::new("http://127.0.0.1:9324")?;
//! use shoal_client::ReceivedExt as _;
//! let orders = shoal.queue("orders");
//! orders.create(&Default::default()).await?;
//! orders.send("hello").await?;
//! for message in orders.receive(&shoal_client::Receive::default().wait_s(5)).await? {
//!     println!("{}", String::from_utf8_lossy(&message.bytes()?));
//!     orders.acknowledge(&message.receipts()).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! No call repeats itself: the service already tries every host of a queue's cluster. An error says
//! whether anything may have been applied, so a caller knows when repeating is safe.

mod client;
mod error;
mod options;
mod queue;

pub use client::Client;
pub use error::ClientError;
pub use options::{Message, Receive};
pub use queue::{Queue, ReceivedExt};
pub use shoal_api::{
    Problem, QueueInfo, QueueList, ReceiptAnswer, ReceivedMessage, RedriveBody, RedriveTask,
    SendAnswer, SendItemAnswer,
};
