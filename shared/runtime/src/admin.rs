//! The admin port of a role: is it alive, is it ready, how is it doing, how is it set up.
//!
//! | path | answer |
//! |---|---|
//! | `/healthz` | 200 as long as the process serves at all; a failure means: restart it |
//! | `/readyz` | 200, or 503 with the reason; a failure means: send it nothing |
//! | `/metrics` | Prometheus' text format, of the whole process |
//! | `/debug/config` | every setting with where it came from |

use std::borrow::Cow;
use std::convert::Infallible;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use http::header::CONTENT_TYPE;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::http::HttpLimits;
use crate::limits::{ADMIN_CONNECTIONS_MAX, METRICS_UPKEEP};
use crate::shutdown::Shutdown;
use crate::{http as server, telemetry};

/// Whether a role does what it is there for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It does.
    Ready,
    /// It does not, because of this.
    NotReady(Cow<'static, str>),
}

/// What the admin port shows of its role.
#[derive(Clone, Debug)]
pub struct AdminState {
    /// Followed, not copied. A role that is gone (the sender dropped) is not ready.
    pub readiness: watch::Receiver<Readiness>,
    /// The settings, as [`crate::config::Loaded::dump`].
    pub config: String,
}

/// Serves the admin port until the shutdown.
///
/// # Errors
/// None; see [`crate::http::serve`].
pub async fn serve(
    listener: TcpListener,
    state: AdminState,
    shutdown: Shutdown,
) -> Result<(), Infallible> {
    let limits = HttpLimits {
        listener: "admin",
        connections_max: ADMIN_CONNECTIONS_MAX,
        body_bytes_max: 0,
        ..HttpLimits::default()
    };
    let mut upkeep = tokio::time::interval(METRICS_UPKEEP);
    let keep_up = async {
        loop {
            upkeep.tick().await;
            telemetry::upkeep();
        }
    };
    tokio::select! {
        ended = server::serve(listener, router(state), limits, shutdown) => ended,
        () = keep_up => unreachable!("it loops"),
    }
}

fn router(state: AdminState) -> Router {
    const TEXT: [(http::HeaderName, &str); 1] = [(CONTENT_TYPE, "text/plain; charset=utf-8")];
    const METRICS: [(http::HeaderName, &str); 1] =
        [(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let state = Arc::new(state);
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route(
            "/readyz",
            get(async |State(state): State<Arc<AdminState>>| readyz(&state)),
        )
        .route(
            "/metrics",
            get(async || (METRICS, telemetry::render_metrics())),
        )
        .route(
            "/debug/config",
            get(async |State(state): State<Arc<AdminState>>| (TEXT, state.config.clone())),
        )
        .with_state(state)
}

fn readyz(state: &AdminState) -> (StatusCode, String) {
    if state.readiness.has_changed().is_err() {
        return (StatusCode::SERVICE_UNAVAILABLE, "is stopping\n".to_owned());
    }
    match &*state.readiness.borrow() {
        Readiness::Ready => (StatusCode::OK, "ready\n".to_owned()),
        Readiness::NotReady(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}
