//! Who waits costs nothing, and comes back when the frontend ends.

use std::time::Duration;

use anyhow::ensure;
use shoal_client::Client;
use shoal_e2e::long_polls::{Ending, Waiters, operations};
use shoal_harness::{Role, run, wait};
use tokio::time::sleep;

const WAITERS: usize = 300;

#[test]
fn who_waits_asks_the_hosts_nothing_and_comes_back_to_a_frontend_that_was_started_again() {
    run(async |bench| {
        let dev = bench.dev().clusters(1).processes().start().await?;
        let frontend = dev.role("frontend")?;
        let hosts: Vec<&Role> = dev.roles().iter().filter(|role| role.is_host()).collect();
        let waiters = Waiters::start(&dev.endpoint(), 3, WAITERS).await?;
        waiters.all_wait(frontend).await?;
        sleep(Duration::from_secs(1)).await;

        let before = operations(&hosts).await?;
        sleep(Duration::from_secs(3)).await;
        let asked = operations(&hosts).await? - before;
        ensure!(before >= WAITERS as u64, "only {before} are counted");
        ensure!(asked == 0, "{asked} operations while all wait");

        let client = Client::new(&dev.endpoint())?;
        let _ = waiters.take_received();
        let queue = client.queue("waited-for-0");
        queue.send("x").await?;
        wait::until("one to receive it", Duration::from_secs(2), async || {
            let received = waiters.take_received();
            ensure!(received == 1, "{received} did");
            Ok(())
        })
        .await?;
        waiters.all_wait(frontend).await?;

        let (again, asked_to_end) = waiters.lose(bench, frontend, Ending::Asked).await?;
        let early = |at: &&Duration| **at < Duration::from_millis(500);
        let early = asked_to_end.answered.iter().filter(early).count();
        let answered = asked_to_end.answered.len();
        println!("asked to end: {answered} answered, {early} early, {asked_to_end:?}");
        ensure!(answered >= WAITERS, "{asked_to_end:?}");
        ensure!(asked_to_end.cut_off == 0, "{asked_to_end:?}");
        ensure!((WAITERS / 5..=WAITERS * 4 / 5).contains(&early), "{early}");
        let (_last, killed) = waiters.lose(bench, &again.role, Ending::Killed).await?;
        println!("killed: {killed:?}");
        let at_most = Duration::from_secs(20);
        ensure!(asked_to_end.took < at_most, "{asked_to_end:?}");
        ensure!(killed.took < at_most, "{killed:?}");
        Ok(())
    });
}
