//! The same clients while hosts die all along.

use std::time::Duration;

use shoal_e2e::kills::kill_for_ever;
use shoal_harness::run;

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
            killed = kill_for_ever(bench, &dev, PERIOD) => killed.map(|never| match never {}),
        }
    });
}
