//! The worlds.

use crate::{Bounds, Network, Sight};

/// A world with its name and what it must be able to reach.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Short.
    pub name: &'static str,
    /// How much may happen.
    pub bounds: Bounds,
    /// What is worth a look there.
    pub reaches: &'static [Sight],
}

const ALL_SLOW: [bool; 3] = [true; 3];

/// Every world.
#[must_use]
pub fn catalogue() -> Vec<Scope> {
    let mut worlds = steady();
    worlds.extend(crashes());
    worlds.extend(restarts());
    worlds.extend(two_left());
    worlds.extend(without_crashes());
    worlds
}

/// The view stays.
fn steady() -> Vec<Scope> {
    vec![
        Scope {
            name: "two coordinators",
            bounds: Bounds {
                batches: [1, 1, 0],
                slow_disks: ALL_SLOW,
                ..Bounds::default()
            },
            reaches: &[Sight::Answered],
        },
        Scope {
            name: "two batches each",
            bounds: Bounds {
                batches: [2, 2, 0],
                ..Bounds::default()
            },
            reaches: &[Sight::Answered],
        },
        Scope {
            name: "wall clocks apart",
            bounds: Bounds {
                batches: [1, 1, 0],
                slow_disks: ALL_SLOW,
                ahead: [0, 7, 3],
                ..Bounds::default()
            },
            reaches: &[Sight::Answered],
        },
        Scope {
            name: "letters at any time",
            bounds: Bounds {
                batches: [1, 1, 0],
                slow_disks: [true, false, false],
                network: Network::Free,
                ..Bounds::default()
            },
            reaches: &[Sight::Answered],
        },
        Scope {
            name: "a letter is lost",
            bounds: Bounds {
                batches: [1, 1, 0],
                losses: 1,
                timeouts: [1, 1, 0],
                ..Bounds::default()
            },
            reaches: &[Sight::Answered],
        },
    ]
}

/// A host is gone for good.
fn crashes() -> Vec<Scope> {
    vec![
        Scope {
            name: "coordinator crashes",
            bounds: Bounds {
                batches: [1, 1, 0],
                slow_disks: ALL_SLOW,
                crashes: [1, 0, 0],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater, Sight::CutOff],
        },
        Scope {
            name: "other host crashes",
            bounds: Bounds {
                batches: [1, 1, 0],
                slow_disks: ALL_SLOW,
                crashes: [0, 0, 1],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater],
        },
        Scope {
            name: "crash, clocks apart",
            bounds: Bounds {
                batches: [1, 1, 0],
                slow_disks: [true, true, false],
                crashes: [1, 0, 0],
                ahead: [0, 3, 7],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater, Sight::CutOff],
        },
        Scope {
            name: "crash, any time",
            bounds: Bounds {
                batches: [1, 1, 0],
                network: Network::Free,
                crashes: [1, 0, 0],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater, Sight::CutOff],
        },
        Scope {
            name: "crash, rivals by timer",
            bounds: Bounds {
                batches: [1, 0, 0],
                crashes: [0, 0, 1],
                timeouts: [2, 2, 0],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater],
        },
    ]
}

/// A host crashes and comes back.
fn restarts() -> Vec<Scope> {
    vec![
        Scope {
            name: "coordinator comes back",
            bounds: Bounds {
                batches: [1, 0, 0],
                slow_disks: [true, false, false],
                crashes: [1, 0, 0],
                restarts: [1, 0, 0],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::Answered, Sight::ActsAgain, Sight::CutOff],
        },
        Scope {
            name: "other host comes back",
            bounds: Bounds {
                batches: [1, 0, 0],
                slow_disks: [false, false, true],
                crashes: [0, 0, 1],
                restarts: [0, 0, 1],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::Answered, Sight::ActsAgain],
        },
        Scope {
            name: "out and in again",
            bounds: Bounds {
                crashes: [1, 0, 0],
                restarts: [1, 0, 0],
                last_view: 3,
                ..Bounds::default()
            },
            reaches: &[Sight::ViewChanged, Sight::ActsAgain],
        },
        Scope {
            name: "two come back",
            bounds: Bounds {
                batches: [1, 0, 0],
                crashes: [1, 1, 0],
                restarts: [1, 1, 0],
                ahead: [0, 0, 7],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::Answered, Sight::ActsAgain],
        },
        Scope {
            name: "one back, one gone",
            bounds: Bounds {
                batches: [1, 0, 0],
                crashes: [1, 1, 0],
                restarts: [0, 1, 0],
                ahead: [0, 0, 7],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::Answered, Sight::ActsAgain],
        },
        Scope {
            name: "proposer crashes",
            bounds: Bounds {
                batches: [0, 1, 0],
                slow_disks: [true, false, false],
                crashes: [1, 0, 1],
                restarts: [1, 0, 0],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater, Sight::ActsAgain],
        },
    ]
}

/// One host is gone from the start: with two, restarts can be searched to the end.
fn two_left() -> Vec<Scope> {
    let left = Bounds {
        gone: [false, false, true],
        last_view: 3,
        ..Bounds::default()
    };
    vec![
        Scope {
            name: "of two, one restarts",
            bounds: Bounds {
                batches: [2, 1, 0],
                slow_disks: [true, false, false],
                crashes: [1, 0, 0],
                restarts: [1, 0, 0],
                ..left.clone()
            },
            reaches: &[Sight::AnsweredLater, Sight::ActsAgain, Sight::CutOff],
        },
        Scope {
            name: "of two, the other one",
            bounds: Bounds {
                batches: [2, 0, 0],
                slow_disks: [true, true, false],
                crashes: [0, 1, 0],
                restarts: [0, 1, 0],
                ..left.clone()
            },
            reaches: &[Sight::AnsweredLater, Sight::ActsAgain],
        },
        Scope {
            name: "of two, both restart",
            bounds: Bounds {
                batches: [0, 1, 0],
                slow_disks: [false, true, false],
                crashes: [1, 1, 0],
                restarts: [1, 1, 0],
                ..left.clone()
            },
            reaches: &[Sight::AnsweredLater, Sight::ActsAgain, Sight::CutOff],
        },
        Scope {
            name: "of two, one, any time",
            bounds: Bounds {
                batches: [1, 0, 0],
                network: Network::Free,
                crashes: [1, 0, 0],
                restarts: [1, 0, 0],
                last_view: 2,
                ..left.clone()
            },
            reaches: &[Sight::Answered, Sight::ActsAgain],
        },
        Scope {
            name: "of two, rivals",
            bounds: Bounds {
                batches: [1, 0, 0],
                breaks: vec![(0, 1), (1, 0)],
                timeouts: [1, 1, 0],
                ..left
            },
            reaches: &[Sight::AnsweredLater],
        },
    ]
}

/// The view changes although every host is well.
fn without_crashes() -> Vec<Scope> {
    vec![
        Scope {
            name: "false suspicion",
            bounds: Bounds {
                batches: [0, 1, 0],
                breaks: vec![(0, 1), (2, 1)],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater, Sight::Dropped],
        },
        Scope {
            name: "suspicion, slow disk",
            bounds: Bounds {
                batches: [0, 1, 0],
                slow_disks: [false, true, false],
                breaks: vec![(0, 1), (2, 1)],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater, Sight::Dropped],
        },
        Scope {
            name: "mutual suspicion",
            bounds: Bounds {
                breaks: vec![(0, 1), (1, 0), (2, 0), (2, 1)],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::ViewChanged],
        },
        Scope {
            name: "a host leaves",
            bounds: Bounds {
                batches: [1, 1, 0],
                leaving: [true, false, false],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater],
        },
        Scope {
            name: "leaves, slow disk",
            bounds: Bounds {
                batches: [1, 1, 0],
                slow_disks: [true, false, false],
                leaving: [true, false, false],
                last_view: 2,
                ..Bounds::default()
            },
            reaches: &[Sight::AnsweredLater],
        },
    ]
}

/// The world of that name.
#[must_use]
pub fn world_named(name: &str) -> Option<Scope> {
    catalogue().into_iter().find(|scope| scope.name == name)
}
