//! What waiting for messages costs: how soon a waiting consumer has a message, what many waiting ones take of
//! a frontend and ask of its hosts, and how they come back when the frontend ends, asked to or killed.
//!
//! `cargo run -p shoal-e2e --example long_poll [WAITERS]`; 5,000, unless said.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use shoal_client::{Client, Receive, ReceivedExt as _};
use shoal_e2e::long_polls::{Comeback, Ending, Waiters, operations};
use shoal_harness::{Bench, Dev, Role, run_within};
use tokio::time::{Instant, sleep};

const BOUND: Duration = Duration::from_secs(600);
/// Queues that they wait for.
const QUEUES: usize = 50;
/// Messages of which it is measured how soon they arrive.
const SENDS: usize = 300;
/// How long the hosts' operations are counted; shorter than a receive waits.
const IDLE: Duration = Duration::from_secs(5);

fn main() -> Result<()> {
    let waiters = match std::env::args().nth(1) {
        Some(number) => number.parse().context("usage: long_poll [WAITERS]")?,
        None => 5_000,
    };
    run_within(BOUND, async |bench| measure(bench, waiters).await);
    Ok(())
}

async fn measure(bench: &Bench, count: usize) -> Result<()> {
    let dev = bench.dev().clusters(1).processes().start().await?;
    arrivals(&dev).await?;

    let frontend = dev.role("frontend")?;
    let hosts: Vec<&Role> = dev.roles().iter().filter(|role| role.is_host()).collect();
    let before = frontend.resident_mib()?;
    let waiters = Waiters::start(&dev.endpoint(), QUEUES, count).await?;
    waiters.all_wait(frontend).await?;
    sleep(Duration::from_secs(1)).await;
    let mib = frontend.resident_mib()?;
    println!("{count} wait: the frontend has {mib} MiB resident, {before} before");
    let asked = operations(&hosts).await?;
    sleep(IDLE).await;
    let asked = operations(&hosts).await? - asked;
    println!("asked of the hosts in {IDLE:?} of that: {asked} operations");

    let (again, comeback) = waiters.lose(bench, frontend, Ending::Asked).await?;
    print("SIGTERM", &comeback);
    sleep(Duration::from_secs(2)).await;
    let (_last, comeback) = waiters.lose(bench, &again.role, Ending::Killed).await?;
    print("SIGKILL", &comeback);
    Ok(())
}

/// How long sends take, and how long after their beginnings a waiting consumer has the messages.
async fn arrivals(dev: &Dev) -> Result<()> {
    let client = Client::new(&dev.endpoint())?;
    let queue = client.queue("arrivals");
    queue.create(&Default::default()).await?;
    let (mut sends, mut arrivals) = (Vec::new(), Vec::new());
    for _ in 0..SENDS {
        let waiting = async {
            let received = queue.receive(&Receive::default().wait_s(20)).await?;
            anyhow::Ok((received, Instant::now()))
        };
        let send = async {
            // By then it waits.
            sleep(Duration::from_millis(10)).await;
            let begun = Instant::now();
            queue.send("x").await?;
            anyhow::Ok((begun, begun.elapsed()))
        };
        let ((received, arrived), (begun, sent)) = tokio::try_join!(waiting, send)?;
        ensure!(received.len() == 1, "{} messages came", received.len());
        let receipts: Vec<String> = received.iter().flat_map(|one| one.receipts()).collect();
        queue.acknowledge(&receipts).await?;
        sends.push(sent);
        arrivals.push(arrived - begun);
    }
    let (sent, arrived) = (median(&mut sends), median(&mut arrivals));
    println!(
        "medians of {SENDS}: a send takes {sent:.2?}, its message arrives after {arrived:.2?}"
    );
    Ok(())
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn print(signal: &str, comeback: &Comeback) {
    let Comeback {
        ended,
        took,
        answered,
        cut_off,
        busiest,
    } = comeback;
    let first_half = answered.iter().filter(|at| at.as_millis() < 500).count();
    let (last, answered) = (answered.last().copied().unwrap_or_default(), answered.len());
    println!(
        "{signal}: gone after {ended:.1?}; {answered} answered, {first_half} of them within half a second, the \
         last after {last:.1?}; {cut_off} cut off; all wait again after {took:.1?}; at most {busiest} receives \
         begun within 100 ms"
    );
}
