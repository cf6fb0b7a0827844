//! Telling the manager that this host is there, and hearing where the others are. The data path does
//! not need it: while the manager is away the host goes on with what it knows.

use std::time::Duration;

use shoal_api::manager::{HEARTBEAT_EVERY, HEARTBEAT_PATH, HEARTBEAT_TIMEOUT, HeartbeatReply};
use shoal_runtime::http_client;
use shoal_types::HostStatus;
use tokio::sync::{mpsc, watch};

use crate::driver::Input;

/// Between heartbeats until the host belongs to a cluster: a new system is ready sooner.
const INTERVAL_UNASSIGNED: Duration = Duration::from_millis(100);

/// Sends `status` to the manager for ever; what it answers goes to the driver. Ends only if there can
/// be no client: TLS wants certificates that the system does not have.
pub(crate) async fn run(
    manager: String,
    mut status: watch::Receiver<HostStatus>,
    inputs: mpsc::Sender<Input>,
) -> Result<(), reqwest::Error> {
    let url = format!("{}{HEARTBEAT_PATH}", manager.trim_end_matches('/'));
    let client = http_client::builder(&url)
        .timeout(HEARTBEAT_TIMEOUT)
        .build()?;
    let mut reachable = true;
    loop {
        let now = status.borrow_and_update().clone();
        let interval = if now.cluster.is_some() {
            HEARTBEAT_EVERY
        } else {
            INTERVAL_UNASSIGNED
        };
        match beat(&client, &url, &now).await {
            Ok(reply) => {
                if !reachable {
                    tracing::info!(%manager, "the manager answers again");
                }
                reachable = true;
                if inputs.send(Input::Manager(reply)).await.is_err() {
                    return Ok(());
                }
            }
            Err(error) => {
                if reachable {
                    tracing::warn!(%manager, %error, "the manager does not answer; going on without it");
                }
                reachable = false;
            }
        }
        tokio::select! {
            () = tokio::time::sleep(interval) => {}
            // A change of state is told at once.
            changed = status.changed() => if changed.is_err() { return Ok(()) },
        }
    }
}

async fn beat(
    client: &reqwest::Client,
    url: &str,
    status: &HostStatus,
) -> Result<HeartbeatReply, reqwest::Error> {
    client
        .post(url)
        .json(status)
        .send()
        .await?
        .error_for_status()?
        .json()
        .await
}
