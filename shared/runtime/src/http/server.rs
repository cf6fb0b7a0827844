//! The accept loop.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::{HttpLimits, connection};
use crate::limits::ACCEPT_PAUSE;
use crate::shutdown::Shutdown;
use crate::telemetry::RateLimit;

/// Serves until the shutdown, and then until the last answer is written or the grace period is over.
///
/// # Errors
/// None: what goes wrong concerns one connection. (The type fits [`crate::task::Tasks::spawn`].)
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    static FULL: RateLimit = RateLimit::new(Duration::from_secs(10));
    static FAILED: RateLimit = RateLimit::new(Duration::from_secs(10));

    let limits = Arc::new(limits);
    let places = Arc::new(Semaphore::new(limits.connections_max));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.triggered() => break,
            accepted = listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _)) => stream,
            Err(error) => {
                if let Some(passed_over) = FAILED.allow() {
                    warn!(listener = limits.listener, %error, passed_over, "cannot accept connections");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            if let Some(passed_over) = FULL.allow() {
                let at_most = limits.connections_max;
                warn!(
                    listener = limits.listener,
                    at_most, passed_over, "connection refused, no place"
                );
            }
            continue;
        };
        // Answers are written in one piece; waiting for more to send would only delay them.
        _ = stream.set_nodelay(true);
        let serving = connection::serve(
            stream,
            router.clone(),
            Arc::clone(&limits),
            shutdown.child(),
        );
        connections.spawn(async move {
            serving.await;
            drop(place);
        });
    }
    drop(listener);
    connections.close();
    connections.wait().await;
    Ok(())
}
