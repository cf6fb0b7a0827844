//! The same clients while hosts die all along.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, ensure};
use shoal_harness::{Bench, Dev, Restarted, run};
use tokio::time::sleep;

use crate::clients::{Client, ask};

/// From one kill to the next.
const PERIOD: Duration = Duration::from_secs(5);

#[test]
fn clients_notice_nothing_when_a_host_of_each_cluster_is_killed_every_five_seconds() {
    run(async |bench| {
        let dev = bench.dev().clusters(2).processes().start().await?;
        let test = "sqs::under_kills";
        let endpoint = dev.endpoint();
        let one = |client| ask(test, client, &endpoint);
        // Side by side: each waits most of its time.
        let clients = async {
            tokio::try_join!(
                one(Client::Boto3),
                one(Client::AwsCli),
                one(Client::Aiobotocore),
                one(Client::Celery),
            )
        };
        tokio::select! {
            asked = clients => asked.map(drop),
            killed = kill_for_ever(bench, &dev) => killed,
        }
    });
}

/// Kills one host of each cluster, a different one each time, and starts it again. Ends only if one does
/// not come back.
async fn kill_for_ever(bench: &Bench, dev: &Dev) -> Result<()> {
    let clusters = dev.hosts_by_cluster().await?;
    ensure!(clusters.len() == 2, "there are {} clusters", clusters.len());
    // Those that were started here; the first ones are dev's own children.
    let mut again = BTreeMap::<String, Restarted>::new();
    for turn in 0.. {
        sleep(PERIOD).await;
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
