//! Many seeds, on as many threads as wanted; results in the order of the seeds, whoever was faster.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::sync_channel;
use std::thread;

use crate::checkers::CheckerSet;
use crate::options::{Options, Wanted};
use crate::world::{Ended, World};

/// Which runs.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The first seed.
    pub from: u64,
    /// How many.
    pub seeds: u64,
    /// What does not follow from the seed.
    pub wanted: Wanted,
    /// What is judged.
    pub checkers: CheckerSet,
    /// Threads.
    pub jobs: u64,
}

/// One run of a seed.
#[must_use]
pub fn run_seed(seed: u64, wanted: Wanted, checkers: &CheckerSet, with_lines: bool) -> Ended {
    World::new(Options::draw(seed, wanted), checkers.clone(), with_lines).run()
}

impl Batch {
    /// Runs all; `each` is told of every run in the order of the seeds.
    ///
    /// # Panics
    /// If a run panics outside of the code under test.
    pub fn run(&self, mut each: impl FnMut(u64, Ended)) {
        let next = AtomicU64::new(0);
        let jobs = self.jobs.max(1);
        let (sender, results) = sync_channel(jobs as usize);
        let sender = Mutex::new(sender);
        thread::scope(|scope| {
            for _ in 0..jobs {
                let (next, sender) = (&next, sender.lock().expect("nobody panics with it").clone());
                scope.spawn(move || {
                    loop {
                        let n = next.fetch_add(1, Ordering::Relaxed);
                        if n >= self.seeds {
                            return;
                        }
                        let seed = self.from.wrapping_add(n);
                        let ended = run_seed(seed, self.wanted, &self.checkers, false);
                        sender
                            .send((n, ended))
                            .expect("the results are taken until all are there");
                    }
                });
            }
            drop(sender);
            let mut early = BTreeMap::new();
            let mut due = 0;
            for (n, ended) in results {
                early.insert(n, ended);
                while let Some(ended) = early.remove(&due) {
                    each(self.from.wrapping_add(due), ended);
                    due += 1;
                }
            }
            assert_eq!(due, self.seeds, "every seed ends");
        });
    }
}
