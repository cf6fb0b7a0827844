//! The accept loop.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;
use tracing::warn;

use super::{HttpLimits, connection};
use crate::limits::ACCEPT_PAUSE;
use crate::shutdown::Drain;
use crate::telemetry::RateLimit;

/// Serves until the drain ends, and then until the last answer is written or the grace period is over. While
/// it drains, every answer closes its connection.
///
/// # Errors
/// None: what goes wrong concerns one connection. (The type fits [`crate::task::Tasks::spawn`].)
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: HttpLimits,
    drain: impl Into<Drain>,
) -> Result<(), Infallible> {
    static FAILED: RateLimit = RateLimit::new(Duration::from_secs(10));

    let drain = drain.into();
    let server = Server {
        router,
        places: Arc::new(Semaphore::new(limits.connections_max)),
        limits: Arc::new(limits),
        drain: drain.clone(),
        connections: TaskTracker::new(),
    };
    loop {
        let accepted = tokio::select! {
            biased;
            () = drain.ends().triggered() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => server.take(stream),
            Err(error) => {
                if let Some(passed_over) = FAILED.allow() {
                    let listener = server.limits.listener;
                    warn!(listener, %error, passed_over, "cannot accept connections");
                }
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // Whoever it is, the kernel has told everybody who still waits that they are connected.
    _ = server.take_waiting(listener);
    server.connections.close();
    server.connections.wait().await;
    Ok(())
}

/// What connections have in common.
struct Server {
    router: Router,
    limits: Arc<HttpLimits>,
    places: Arc<Semaphore>,
    drain: Drain,
    connections: TaskTracker,
}

impl Server {
    /// Serves a connection, if there is a place.
    fn take(&self, stream: TcpStream) {
        static FULL: RateLimit = RateLimit::new(Duration::from_secs(10));

        let limits = &self.limits;
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            if let Some(passed_over) = FULL.allow() {
                let at_most = limits.connections_max;
                warn!(
                    listener = limits.listener,
                    at_most, passed_over, "connection refused, no place"
                );
            }
            return;
        };
        // Answers are written in one piece; waiting for more to send would only delay them.
        _ = stream.set_nodelay(true);
        let serving = connection::serve(
            stream,
            self.router.clone(),
            Arc::clone(limits),
            self.drain.child(),
        );
        self.connections.spawn(async move {
            serving.await;
            drop(place);
        });
    }

    /// Serves what waits to be accepted, and stops to listen. Closing the port with connections in its queue
    /// resets them, with whatever they have asked already.
    fn take_waiting(&self, listener: TcpListener) -> io::Result<()> {
        // Asked without tokio, which would ask only once it was told that there is something.
        let listener = listener.into_std()?;
        // More than that would not get places.
        for _ in 0..self.limits.connections_max {
            let (stream, _) = listener.accept()?;
            stream.set_nonblocking(true)?;
            self.take(TcpStream::from_std(stream)?);
        }
        Ok(())
    }
}
