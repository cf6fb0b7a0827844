//! Hosts that die all along.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::time::Duration;

use anyhow::{Result, ensure};
use shoal_harness::{Bench, Dev, Restarted};
use tokio::time::sleep;

/// Kills one host of each of two clusters after each period, a different one each time, and starts it again.
///
/// # Errors
/// If one does not come back; it does not end otherwise.
pub async fn kill_for_ever(bench: &Bench, dev: &Dev, period: Duration) -> Result<Infallible> {
    let clusters = dev.hosts_by_cluster().await?;
    ensure!(clusters.len() == 2, "there are {} clusters", clusters.len());
    // Those that were started here; the first ones are dev's own children.
    let mut again = BTreeMap::<String, Restarted>::new();
    for turn in 0.. {
        sleep(period).await;
        for hosts in &clusters {
            let victim = &hosts[turn % hosts.len()];
            match again.remove(&victim.name) {
                Some(earlier) => drop(earlier),
                None => victim.kill9().await?,
            }
            let mut back = victim.start_again(bench)?;
            back.ready().await?;
            again.insert(victim.name.clone(), back);
        }
    }
    unreachable!("there are always more turns")
}
