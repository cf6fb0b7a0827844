//! Queues move between clusters, and nobody who sends or receives has to know.

use std::time::Duration;

use anyhow::ensure;
use shoal_e2e::operator::Operator;
use shoal_e2e::{ensure_clean, moving, start_load, steady_plan};
use shoal_harness::run;
use shoal_load_test::Plan;

#[test]
fn queues_move_back_and_forth_under_load_and_nothing_is_lost_or_out_of_order() {
    run(async |bench| {
        let dev = bench.dev().clusters(2).processes().start().await?;
        let operator = Operator::of(&dev)?;
        let plan = Plan {
            rate: Some(200.0),
            warm_up: Duration::ZERO,
            ..steady_plan(Duration::from_secs(3_600))
        };
        let ordered = Plan {
            groups: 20,
            ..plan.clone()
        };
        let (fifo, standard) = (
            start_load(&dev, ordered).await?,
            start_load(&dev, plan).await?,
        );
        let queues = [fifo.watch().queues(), standard.watch().queues()].concat();
        moving::back_and_forth(&dev.endpoint(), &operator, &queues, 24).await?;
        for load in [fifo, standard] {
            load.stop_sending();
            let report = load.finish().await;
            ensure_clean(&report)?;
            // A generous ceiling: what sends really wait is measured by `--example moves`.
            ensure!(report.send.latency.max_ms < 5_000.0, "{report}");
        }
        Ok(())
    });
}
