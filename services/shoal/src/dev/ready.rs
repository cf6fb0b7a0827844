//! When `dev` may say that it is ready: every role is, and every cluster serves.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::bail;
use shoal_runtime::http_client;

use super::layout::Layout;

/// Between looks. Each is a local request; a person does not notice 10 ms.
const AGAIN: Duration = Duration::from_millis(10);
/// A start that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until every role answers `/readyz` with 200.
///
/// # Errors
/// If that takes longer than a minute; names what is missing and why.
pub(super) async fn wait(layout: &Layout) -> anyhow::Result<()> {
    let client = http_client::builder("http://")
        .timeout(Duration::from_secs(1))
        .build()?;
    let places = [&layout.manager, &layout.frontend]
        .into_iter()
        .chain(&layout.hosts);
    let deadline = tokio::time::Instant::now() + PATIENCE;
    for place in places {
        let mut reason = "it did not answer".to_owned();
        while !is_ready(&client, place.admin, &mut reason).await {
            if tokio::time::Instant::now() > deadline {
                bail!(
                    "{} is not ready after {} s: {reason}",
                    place.name,
                    PATIENCE.as_secs()
                );
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
    Ok(())
}

async fn is_ready(client: &reqwest::Client, admin: SocketAddr, reason: &mut String) -> bool {
    let Ok(answer) = client.get(format!("http://{admin}/readyz")).send().await else {
        return false;
    };
    let ready = answer.status().is_success();
    if let Ok(text) = answer.text().await {
        *reason = text.trim().to_owned();
    }
    ready
}
