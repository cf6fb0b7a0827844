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
//! No call does anything twice: the service already tries every host of a queue's cluster. An error says
//! whether anything may have been applied, so a caller knows when repeating is safe.
//!
//! With several frontends, `Client::new("http://a:9324,http://b:9324")`, calls go to them by turns. A call goes
//! on to the next one, to each once at most, if it certainly took no effect at the first: no connection came
//! about, or it was refused as something that may succeed later. So does a call that only reads and was cut
//! off. A frontend that could not be reached, or that says that it stops, is asked again after a pause, half
//! a second and up to 15 s if it stays away. Whoever restarts frontends one by one fails no call.

mod call;
mod client;
mod error;
mod frontends;
mod limits;
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
