//! Creating queues is quick because what waits together is written together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::Instant;

use crate::support::Small;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_creations_in_flight_share_commits() {
    const QUEUES: usize = 2_000;
    const IN_FLIGHT: usize = 64;
    let small = Small::start().await;
    let next = Arc::new(AtomicUsize::new(0));
    let started = Instant::now();
    let creators: Vec<_> = (0..IN_FLIGHT)
        .map(|_| {
            let (client, next) = (small.client().clone(), Arc::clone(&next));
            tokio::spawn(async move {
                loop {
                    let n = next.fetch_add(1, Ordering::Relaxed);
                    if n >= QUEUES {
                        return;
                    }
                    client.create(&format!("queue-{n}")).await;
                }
            })
        })
        .collect();
    for creator in creators {
        creator.await.unwrap();
    }
    let per_second = QUEUES as f64 / started.elapsed().as_secs_f64();
    println!("{per_second:.0} queues created per second, {IN_FLIGHT} in flight");
    assert_eq!(small.world.partitions(), QUEUES);
    // A tenth of what an idle machine does: one commit per creation would be slower than this.
    assert!(per_second > 100.0, "{per_second:.0} per second");
}
