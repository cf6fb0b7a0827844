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

/// Searches breadth first, until all is seen, a promise is broken, or a limit is reached.
#[must_use]
pub fn search(bounds: Bounds, limits: Limits) -> Found {
    let start = Instant::now();
    let checker = SmallWorld::new(bounds)
        .checker()
        .threads(limits.threads)
        .target_state_count(limits.states)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_bfs()
        .join();
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
