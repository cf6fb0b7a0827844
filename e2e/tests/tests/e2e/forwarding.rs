//! A cluster is emptied although nobody consumes, and what was there is consumed elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_api::manager::ClusterState;
use shoal_client::{Client, Message, Queue, Receive, ReceivedExt as _};
use shoal_e2e::operator::Operator;
use shoal_harness::run;
use shoal_types::ClusterId;
use tokio::time::sleep;

const MESSAGES: usize = 3_000;
const GROUPS: usize = 40;
/// Rounds of planning come every 5 s, and hosts are killed meanwhile.
const EMPTIED_WITHIN: Duration = Duration::from_secs(90);

#[test]
fn what_nobody_consumes_leaves_a_drained_cluster_in_order_and_each_message_once() {
    run(async |bench| {
        let dev = bench.dev().clusters(2).processes().start().await?;
        let operator = Operator::of(&dev)?;
        let client = Client::new(&dev.endpoint())?;
        let c1 = ClusterId(1);
        let queue = queue_on(&client, c1).await?;
        for first in (0..MESSAGES).step_by(500) {
            let messages: Vec<Message> = (first..first + 500).map(message).collect();
            queue.send_batch(&messages).await?;
        }
        let hosts = dev.hosts_by_cluster().await?;
        operator.drain_and_forward(c1).await?;
        // One of each cluster, at moments that have nothing to do with what they are doing.
        let mut back = Vec::new();
        for (wait_ms, victim) in [(5_500, &hosts[0][0]), (300, &hosts[1][1])] {
            sleep(Duration::from_millis(wait_ms)).await;
            victim.kill9().await?;
            let mut again = victim.start_again(bench)?;
            again.ready().await?;
            back.push(again);
        }
        operator
            .until(c1, ClusterState::Retired, EMPTIED_WITHIN)
            .await?;
        let events = operator.events().await?;
        let went = format!("{MESSAGES} messages of ");
        ensure!(
            events.iter().any(|event| event.text.starts_with(&went)),
            "{events:?}"
        );
        queue.send(message(MESSAGES)).await?;
        consumed_in_order(&queue).await
    });
}

fn message(n: usize) -> Message {
    Message::text(format!("message {n}")).group(format!("group-{}", n % GROUPS))
}

async fn queue_on(client: &Client, cluster: ClusterId) -> Result<Queue> {
    for n in 0..50 {
        let queue = client.queue(&format!("left-behind-{n}.fifo"));
        let info = queue.create(&Default::default()).await?;
        if info.partitions.iter().all(|one| one.cluster == cluster) {
            return Ok(queue);
        }
        queue.delete().await?;
    }
    anyhow::bail!("fifty names none of which belongs to {cluster}")
}

/// All messages, each group in order, each message once, and those of before under the numbers that they
/// were given first.
async fn consumed_in_order(queue: &Queue) -> Result<()> {
    let how = Receive::default().max(100).wait_s(2);
    let mut next = BTreeMap::new();
    let mut received = 0;
    while received <= MESSAGES {
        let messages = queue.receive(&how).await?;
        ensure!(!messages.is_empty(), "{received} came, and no more");
        for message in &messages {
            let text = String::from_utf8(message.bytes()?)?;
            let n: usize = text.strip_prefix("message ").context("a body")?.parse()?;
            let expected = next.entry(n % GROUPS).or_insert(n % GROUPS);
            ensure!(n == *expected, "{n} came instead of {expected}");
            *expected += GROUPS;
            let number = u64::try_from(n)? + 1;
            ensure!(n == MESSAGES || message.sequence.0 == number, "{message:?}");
            ensure!(message.receive_count == 1, "{message:?}");
        }
        received += messages.len();
        let receipts: Vec<_> = messages.iter().flat_map(|one| one.receipts()).collect();
        queue.acknowledge(&receipts).await?;
    }
    Ok(())
}
