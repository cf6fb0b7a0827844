//! How long a system with many messages waiting takes from its start to being ready: sends so many,
//! kills everything, starts it again, and looks that all are there.
//!
//! `cargo run -p shoal-e2e --example restart_time [MESSAGES] [BODY_BYTES]`; 5,000,000 of 64 bytes, unless
//! said.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, ensure};
use shoal_e2e::{prepare_load, waiting_plan};
use shoal_harness::{Bench, run_within};
use shoal_load_test::{Rest, Service as _};

/// Five million messages are sent in some minutes.
const BOUND: Duration = Duration::from_secs(3_600);

fn main() -> Result<()> {
    const USAGE: &str = "usage: restart_time [MESSAGES] [BODY_BYTES]";
    let mut arguments = std::env::args().skip(1);
    let messages = match arguments.next() {
        Some(number) => number.parse().context(USAGE)?,
        None => 5_000_000,
    };
    let body_bytes = match arguments.next() {
        Some(number) => number.parse().context(USAGE)?,
        None => 64,
    };
    run_within(BOUND, async |bench| {
        measure(bench, messages, body_bytes).await
    });
    Ok(())
}

async fn measure(bench: &Bench, messages: u64, body_bytes: usize) -> Result<()> {
    let dev = bench.dev().processes().start().await?;
    let address = dev.address();
    let plan = waiting_plan(messages, body_bytes);
    let load = prepare_load(&dev.endpoint(), plan).await?;
    let begin = Instant::now();
    load.produce().await;
    println!("sent {messages} messages in {:.1?}", begin.elapsed());
    dev.kill9().await?;

    let begin = Instant::now();
    let again = bench.dev().named("dev-again").processes().listen(address);
    let dev = again.start().await?;
    println!(
        "ready {:.2?} after the start, with {messages} messages waiting",
        begin.elapsed()
    );
    for role in dev.roles().iter().filter(|role| role.is_host()) {
        let (mib, seconds) = (role.resident_mib()?, processor_seconds(role.pid)?);
        println!(
            "{}: {mib} MiB resident, {seconds:.1} s of processor time",
            role.name
        );
    }
    let watch = load.watch();
    let sent = watch.progress().sent;
    ensure!(sent == messages, "only {sent} were accepted");
    let mut waiting = 0;
    let service = Rest::new(&dev.endpoint())?;
    for queue in watch.queues() {
        let answer = service.waiting(queue).await;
        waiting += answer.map_err(|failure| anyhow!("{queue}: {failure}"))?;
    }
    ensure!(waiting == messages, "{waiting} of {messages} are there");
    println!("all are there");
    Ok(())
}

/// User and system time so far. On a machine that does other things too it says more than the clock.
fn processor_seconds(pid: u32) -> Result<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let (_, fields) = stat.rsplit_once(')').context("no name in stat")?;
    // The 14th and 15th of all, of which two were before.
    let times = fields.split_whitespace().skip(11).take(2);
    let ticks: Result<Vec<f64>, _> = times.map(str::parse).collect();
    Ok(ticks?.iter().sum::<f64>() / TICKS_PER_SECOND)
}
