//! A cluster is emptied although nobody consumes, and what was there is consumed elsewhere.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_api::manager::ClusterState;
use shoal_api::plan::Event;
use shoal_client::{Client, Message, Queue, Receive, ReceivedExt as _};
use shoal_e2e::operator::Operator;
use shoal_e2e::{clusters_under_load, ensure_clean, start_load, steady_plan};
use shoal_harness::run;
use shoal_load_test::Plan;
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

/// Consumers that are slower than their producers have messages of many groups in hand while what they leave
/// goes on, and so groups go at different times, some of them in parts.
#[test]
fn what_is_consumed_while_it_goes_on_comes_once_and_in_order_though_hosts_die() {
    run(async |bench| {
        let dev = bench.dev().clusters(2).processes().start().await?;
        let operator = Operator::of(&dev)?;
        let plan = Plan {
            groups: 50,
            rate: None,
            backlog_max: Some(6_000),
            consumers: 4,
            batch: 10,
            receive_batch: 2,
            warm_up: Duration::ZERO,
            ..steady_plan(Duration::from_secs(3_600))
        };
        let load = start_load(&dev, plan).await?;
        ensure!(clusters_under_load(&dev, &load.watch()).await? == 2);
        let hosts = dev.hosts_by_cluster().await?;
        // What is sent until then is what there is to go on.
        sleep(Duration::from_secs(5)).await;
        let c1 = ClusterId(1);
        operator.drain_and_forward(c1).await?;
        let mut back = Vec::new();
        for (wait_ms, victim) in [
            (2_000, &hosts[0][0]),
            (1_500, &hosts[1][1]),
            (1_500, &hosts[0][2]),
        ] {
            sleep(Duration::from_millis(wait_ms)).await;
            victim.kill9().await?;
            let mut again = victim.start_again(bench)?;
            again.ready().await?;
            back.push(again);
        }
        operator
            .until(c1, ClusterState::Retired, EMPTIED_WITHIN)
            .await?;
        load.stop_sending();
        let report = load.finish().await;
        ensure_clean(&report)?;
        let events = operator.events().await?;
        let went: Vec<u64> = events.iter().filter_map(went_on).collect();
        ensure!(went.iter().any(|messages| *messages > 0), "{events:?}");
        Ok(())
    });
}

/// How many messages went on, of the event that says so.
fn went_on(event: &Event) -> Option<u64> {
    let (messages, _) = event.text.split_once(" messages of ")?;
    messages.parse().ok()
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
