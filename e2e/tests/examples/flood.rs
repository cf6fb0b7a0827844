//! One queue of a cluster is flooded: how long it takes until the manager has split or moved it, and what
//! the cluster's other queues notice before, meanwhile and afterwards.
//!
//! `cargo run -p shoal-e2e --example flood [MESSAGES_PER_SECOND]`

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_api::plan::MoveRequest;
use shoal_client::{Client, Message, Receive};
use shoal_e2e::operator::Operator;
use shoal_e2e::{ensure_clean, start_load, steady_plan};
use shoal_harness::{Bench, Dev, Restarted, run_within, wait};
use shoal_load_test::Plan;
use shoal_types::{ClusterId, PartitionState};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

/// How long each part is measured.
const MEASURED: Duration = Duration::from_secs(20);
/// The manager has to have done something within this.
const RELIEF_WITHIN: Duration = Duration::from_secs(60);
/// Of the other queues, each of which is sent a message in every beat.
const OTHERS: usize = 4;
const BEAT: Duration = Duration::from_millis(40);
const FLOODED: ClusterId = ClusterId(1);

fn main() -> Result<()> {
    let rate: f64 = match std::env::args().nth(1) {
        Some(number) => number
            .parse()
            .context("usage: flood [MESSAGES_PER_SECOND]")?,
        None => 1_000.0,
    };
    run_within(Duration::from_secs(400), async |bench| {
        measure(bench, rate).await
    });
    Ok(())
}

async fn measure(bench: &Bench, rate: f64) -> Result<()> {
    let dev = bench.dev().clusters(2).processes().start().await?;
    // A send, a receive and an acknowledge each: one cluster is to be overheated by half, two are not.
    let _manager = with_target(bench, &dev, (rate * 3.0 / 1.5) as u64).await?;
    let operator = Operator::of(&dev)?;
    let client = Client::new(&dev.endpoint())?;
    let others = Others::start(&client, &operator).await?;

    others.forget();
    sleep(MEASURED).await;
    let before = others.p99();
    println!("before: {before:.1?} p99 of a send to another queue");

    let plan = Plan {
        queues: 1,
        auto: true,
        rate: Some(rate),
        batch: 10,
        receive_batch: 10,
        warm_up: Duration::ZERO,
        ..steady_plan(Duration::from_secs(3_600))
    };
    let flood = start_load(&dev, plan).await?;
    let queue = flood.watch().queues()[0].clone();
    move_there(&client, &operator, &queue).await?;
    let begun = Instant::now();
    others.forget();
    wait::until(
        "the flood to be split or moved",
        RELIEF_WITHIN,
        async || {
            let info = client.queue(&queue).info().await?;
            let takes = info.partitions.iter();
            let takes = takes.filter(|one| one.state == PartitionState::Active);
            let elsewhere = takes.filter(|one| one.cluster != FLOODED).count();
            let moves = operator.moves().await?;
            ensure!(elsewhere > 0, "{moves:?}");
            Ok(())
        },
    )
    .await?;
    let relieved = begun.elapsed();
    println!("meanwhile: {:.1?}, for {relieved:.0?}", others.p99());
    for event in operator.events().await?.iter().rev().take(6) {
        println!("    {}", event.text);
    }

    // What was sealed is read to its end by now.
    sleep(Duration::from_secs(5)).await;
    others.forget();
    sleep(MEASURED).await;
    let after = others.p99();
    let ratio = after.as_secs_f64() / before.as_secs_f64();
    println!("after: {after:.1?}, {ratio:.2} of before");
    flood.stop_sending();
    let report = flood.finish().await;
    println!("\n{report}");
    ensure_clean(&report)?;
    others.finish()?;
    ensure!(ratio <= 1.5, "the other queues have not recovered");
    Ok(())
}

/// The manager again, with another idea of what is too much.
async fn with_target(bench: &Bench, dev: &Dev, operations: u64) -> Result<Restarted> {
    let mut role = dev.role("manager")?.clone();
    role.kill9().await?;
    role.command_line = format!(
        "env SHOAL_TARGET_OPERATIONS={operations} SHOAL_TARGET_COMMIT_US=10000000 {}",
        role.command_line
    );
    let mut manager = role.start_again(bench)?;
    manager.ready().await?;
    Ok(manager)
}

/// The queue's only partition is moved to the cluster that is flooded, if it is elsewhere.
async fn move_there(client: &Client, operator: &Operator, queue: &str) -> Result<()> {
    wait::until("the queue to be there", RELIEF_WITHIN, async || {
        let info = client.queue(queue).info().await?;
        if info.partitions.len() == 1 && info.partitions[0].cluster == FLOODED {
            return Ok(());
        }
        let asked = MoveRequest {
            queue: queue.parse().ok().context("a queue's name")?,
            to: FLOODED,
            partition: None,
        };
        let begun = operator.start_move(&asked).await?;
        Err(anyhow::anyhow!("{begun:?}"))
    })
    .await
}

/// Queues on the flooded cluster with a light load.
struct Others {
    took: Arc<std::sync::Mutex<Vec<Duration>>>,
    failed: Arc<AtomicBool>,
    _beats: JoinSet<()>,
}

impl Others {
    async fn start(client: &Client, operator: &Operator) -> Result<Self> {
        let (took, failed) = (Arc::default(), Arc::new(AtomicBool::new(false)));
        let mut beats = JoinSet::new();
        for n in 0..OTHERS {
            let queue = format!("other-{n}");
            client.queue(&queue).create(&Default::default()).await?;
            move_there(client, operator, &queue).await?;
            let (client, took, failed) = (client.clone(), Arc::clone(&took), Arc::clone(&failed));
            beats.spawn(async move {
                loop {
                    match beat(&client, &queue).await {
                        Ok(sent_in) => lock(&took).push(sent_in),
                        Err(error) => {
                            println!("{queue}: {error:#}");
                            failed.store(true, Ordering::Relaxed);
                        }
                    }
                    sleep(BEAT).await;
                }
            });
        }
        Ok(Self {
            took,
            failed,
            _beats: beats,
        })
    }

    /// Another part begins.
    fn forget(&self) {
        lock(&self.took).clear();
    }

    fn p99(&self) -> Duration {
        let mut took = lock(&self.took).clone();
        took.sort_unstable();
        took.get(took.len() * 99 / 100).copied().unwrap_or_default()
    }

    fn finish(self) -> Result<()> {
        ensure!(!self.failed.load(Ordering::Relaxed), "operations failed");
        Ok(())
    }
}

/// Sends a message and receives one; how long the send took.
async fn beat(client: &Client, queue: &str) -> Result<Duration> {
    let queue = client.queue(queue);
    let begun = Instant::now();
    queue.send(Message::text("x")).await?;
    let took = begun.elapsed();
    queue.receive(&Receive::default().auto_ack()).await?;
    Ok(took)
}

fn lock(took: &std::sync::Mutex<Vec<Duration>>) -> std::sync::MutexGuard<'_, Vec<Duration>> {
    took.lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}
