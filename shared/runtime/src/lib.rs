//! What every Shoal process needs, whatever its role: settings, telemetry, tasks, shutdown, the two
//! clocks, the HTTP server and the admin port.
//!
//! Nothing here knows what a queue is, and nothing here is a global, except what the process itself
//! has only one of: the log, the metrics recorder and the TLS provider.

pub mod admin;
pub mod clock;
pub mod config;
pub mod crypto;
pub mod http;
pub mod http_client;
pub mod limits;
pub mod parent;
pub mod shutdown;
pub mod task;
pub mod telemetry;
