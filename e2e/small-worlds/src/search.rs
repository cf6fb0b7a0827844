//! Searching a world, and what was found.

use std::time::{Duration, Instant};

use stateright::{Checker, HasDiscoveries, Model};

use crate::{Bounds, Promise, Sight, SmallWorld};

/// When a search stops even though there is more to see.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// States it came upon, repeatedly ones included.
    pub states: usize,
    /// Threads that search.
    pub threads: usize,
}

/// What a search found.
#[derive(Debug)]
pub struct Found {
    /// Different states.
    pub states: usize,
    /// Different states of single hosts among them.
    pub hosts: usize,
    /// Actions from the first state to the farthest one.
    pub depth: usize,
    /// True if there is no further state within the bounds.
    pub exhausted: bool,
    /// How long it took.
    pub took: Duration,
    /// The sights that were seen.
    pub sights: Vec<Sight>,
    /// A promise that does not hold, with its story and the way there.
    pub broken: Option<(Promise, String)>,
}

/// In which order a search goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// All short ways before longer ones: what it finds, it finds on the shortest way.
    Breadth,
    /// A way to its end before another one: sees the late states of worlds that are too large.
    Depth,
}

/// Searches until all is seen, a promise is broken, or a limit is reached.
#[must_use]
pub fn search(bounds: Bounds, order: Order, limits: Limits) -> Found {
    let start = Instant::now();
    let search = SmallWorld::new(bounds)
        .checker()
        .threads(limits.threads)
        .target_state_count(limits.states)
        .finish_when(HasDiscoveries::AnyFailures);
    match order {
        Order::Breadth => found(&search.spawn_bfs().join(), limits, start),
        Order::Depth => found(&search.spawn_dfs().join(), limits, start),
    }
}

fn found(checker: &impl Checker<SmallWorld>, limits: Limits, start: Instant) -> Found {
    let took = start.elapsed();
    let discoveries = checker.discoveries();
    let broken = Promise::ALL.into_iter().find_map(|promise| {
        let path = discoveries.get(promise.name())?.clone();
        let last = path
            .last_state()
            .broken()
            .map(|(_, story)| story.to_owned());
        let mut story = last.expect("the last state of the way breaks it");
        for (number, action) in (1..).zip(path.into_actions()) {
            story += &format!("\n{number:>4} {action:?}");
        }
        Some((promise, story))
    });
    let seen = |sight: &Sight| discoveries.contains_key(sight.name());
    Found {
        states: checker.unique_state_count(),
        hosts: checker.model().hosts_met(),
        depth: checker.max_depth(),
        exhausted: broken.is_none() && checker.state_count() < limits.states,
        took,
        sights: Sight::ALL.into_iter().filter(seen).collect(),
        broken,
    }
}
