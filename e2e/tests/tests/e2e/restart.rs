//! Killing everything at once: what was acknowledged is there again.

use std::time::{Duration, Instant};

use anyhow::ensure;
use shoal_e2e::{ensure_kept, prepare_load, start_load, steady_plan, waiting_plan};
use shoal_harness::run;
use tokio::time::sleep;

#[test]
fn nothing_acknowledged_is_lost_when_everything_is_killed_under_load() {
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let address = dev.address();
        let load = start_load(&dev, steady_plan(Duration::from_secs(12))).await?;
        sleep(Duration::from_secs(5)).await;
        dev.kill9().await?;
        let again = bench.dev().named("dev-again").processes().listen(address);
        let _dev = again.start().await?;
        let report = load.finish().await;
        ensure!(
            report.failed_operations() > 0,
            "nobody was killed?\n{report}"
        );
        ensure_kept(&report)
    });
}

#[test]
fn with_100_000_messages_waiting_a_restart_is_ready_within_3_s() {
    const MESSAGES: u64 = 100_000;
    run(async |bench| {
        let dev = bench.dev().processes().start().await?;
        let address = dev.address();
        let load = prepare_load(&dev.endpoint(), waiting_plan(MESSAGES, 1024)).await?;
        load.produce().await;
        dev.kill9().await?;

        let begin = Instant::now();
        let again = bench.dev().named("dev-again").processes().listen(address);
        let _dev = again.start().await?;
        let took = begin.elapsed();
        println!("ready {took:?} after the start, with {MESSAGES} messages waiting");
        ensure!(took <= Duration::from_secs(3), "it took {took:?}");

        let report = load.consume().await;
        ensure!(report.verdict.accepted == MESSAGES, "{report}");
        ensure_kept(&report)
    });
}

#[test]
fn a_system_that_was_asked_to_end_has_everything_when_it_starts_again() {
    run(async |bench| {
        let dev = bench.dev().start().await?;
        crate::support::create(&dev, "orders").await?;
        crate::support::send(&dev, "orders", "kept").await?;
        dev.stop().await?;
        let dev = bench.dev().start().await?;
        ensure!(crate::support::take(&dev, "orders").await? == "kept");
        Ok(())
    });
}
