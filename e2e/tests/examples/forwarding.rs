//! How fast what nobody consumes goes on to another cluster: a queue is filled, its cluster is drained at once,
//! and what its hosts count is looked at until all of it has gone. Prints messages and bytes per second, by the
//! kind of queue.
//!
//! `cargo run --release -p shoal-e2e --example forwarding [MESSAGES [BODY_BYTES]]`

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_api::manager::ClusterState;
use shoal_client::{Client, Message, Queue};
use shoal_e2e::operator::Operator;
use shoal_harness::{Bench, Role, run_within};
use shoal_types::ClusterId;
use tokio::time::{Instant, sleep};

const FORWARDED: &str = "shoal_host_messages_forwarded_total";
/// Groups of the FIFO queue.
const GROUPS: usize = 1_000;
/// Messages of one send.
const BATCH: usize = 500;
/// Between two looks at the counters.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// All of it must have gone within so long.
const GONE_WITHIN: Duration = Duration::from_secs(300);

fn main() -> Result<()> {
    const USAGE: &str = "usage: forwarding [MESSAGES [BODY_BYTES]]";
    let mut words = std::env::args().skip(1);
    let mut number = |default: usize| match words.next() {
        Some(number) => number.parse().context(USAGE),
        None => Ok(default),
    };
    let (messages, body_bytes) = (number(100_000)?, number(1_024)?);
    for fifo in [false, true] {
        run_within(2 * GONE_WITHIN, async |bench| {
            measure(bench, messages, body_bytes, fifo).await
        });
    }
    Ok(())
}

async fn measure(bench: &Bench, messages: usize, body_bytes: usize, fifo: bool) -> Result<()> {
    let dev = bench.dev().clusters(2).processes().start().await?;
    let (operator, client) = (Operator::of(&dev)?, Client::new(&dev.endpoint())?);
    let from = ClusterId(1);
    let queue = queue_on(&client, from, if fifo { ".fifo" } else { "" }).await?;
    let body = "x".repeat(body_bytes);
    for first in (0..messages).step_by(BATCH) {
        let message = |n: usize| {
            let message = Message::text(body.clone());
            match fifo {
                true => message.group(format!("group-{}", n % GROUPS)),
                false => message,
            }
        };
        let batch: Vec<Message> = (first..messages.min(first + BATCH)).map(message).collect();
        queue.send_batch(&batch).await?;
    }
    let hosts = dev.hosts_by_cluster().await?;
    operator.drain_and_forward(from).await?;
    let deadline = Instant::now() + GONE_WITHIN;
    let mut began = None;
    let (rest, took) = loop {
        sleep(LOOK_AGAIN).await;
        let gone = forwarded(&hosts[0]).await?;
        ensure!(Instant::now() < deadline, "only {gone} have gone in time");
        // The first look that finds anything begins: how long the manager took does not count.
        let (at, before) = *began.get_or_insert_with(|| (Instant::now(), gone));
        if gone == 0 {
            began = None;
        } else if gone >= messages {
            // A piece that two hosts brought at once is counted twice.
            break (messages - before, at.elapsed());
        }
    };
    let rate = rest as f64 / took.as_secs_f64();
    let kind = if fifo { "FIFO" } else { "standard" };
    println!(
        "{kind}: {rest} messages of {body_bytes} bytes in {took:.2?}: {rate:.0} a second, {:.1} MB/s",
        rate * body_bytes as f64 / 1e6
    );
    operator
        .until(from, ClusterState::Retired, GONE_WITHIN)
        .await
}

async fn queue_on(client: &Client, cluster: ClusterId, suffix: &str) -> Result<Queue> {
    for n in 0..50 {
        let queue = client.queue(&format!("left-behind-{n}{suffix}"));
        let info = queue.create(&Default::default()).await?;
        if info.partitions.iter().all(|one| one.cluster == cluster) {
            return Ok(queue);
        }
        queue.delete().await?;
    }
    anyhow::bail!("fifty names none of which belongs to {cluster}")
}

/// What these hosts have brought to other clusters, all together.
async fn forwarded(hosts: &[Role]) -> Result<usize> {
    let mut sum = 0.0;
    for host in hosts {
        sum += host.metric(FORWARDED).await?;
    }
    Ok(sum as usize)
}
