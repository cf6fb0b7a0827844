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

/// Every world, from those where nothing fails on.
#[must_use]
pub fn catalogue() -> Vec<Scope> {
    let none = Bounds::default;
    let w = |name, bounds| Scope {
        name,
        bounds,
        reaches: &[],
    };
    let t = true;
    let f = false;
    vec![
        w(
            "1 slow",
            Bounds {
                batches: [1, 0, 0],
                slow_disks: [true; 3],
                ..none()
            },
        ),
        w(
            "1 free",
            Bounds {
                batches: [1, 0, 0],
                slow_disks: [true; 3],
                network: Network::Free,
                ..none()
            },
        ),
        w(
            "11 slow",
            Bounds {
                batches: [1, 1, 0],
                slow_disks: [true; 3],
                ..none()
            },
        ),
        w(
            "11 fast",
            Bounds {
                batches: [1, 1, 0],
                ..none()
            },
        ),
        w(
            "22 fast",
            Bounds {
                batches: [2, 2, 0],
                ..none()
            },
        ),
        w(
            "11 free fast",
            Bounds {
                batches: [1, 1, 0],
                network: Network::Free,
                ..none()
            },
        ),
        w(
            "1 crash slow",
            Bounds {
                batches: [1, 0, 0],
                slow_disks: [true; 3],
                crashes: 1,
                last_view: 2,
                ..none()
            },
        ),
        w(
            "1 crash a slow",
            Bounds {
                batches: [1, 0, 0],
                slow_disks: [true, f, f],
                crashes: 1,
                last_view: 2,
                ..none()
            },
        ),
        w(
            "11 crash a slow",
            Bounds {
                batches: [1, 1, 0],
                slow_disks: [true, f, f],
                crashes: 1,
                last_view: 2,
                ..none()
            },
        ),
        w(
            "1 crash free",
            Bounds {
                batches: [1, 0, 0],
                slow_disks: [true, f, f],
                crashes: 1,
                last_view: 2,
                network: Network::Free,
                ..none()
            },
        ),
        w(
            "1 crash restart",
            Bounds {
                batches: [1, 0, 0],
                slow_disks: [t, f, f],
                crashes: 1,
                restarts: 1,
                last_view: 3,
                ..none()
            },
        ),
        w(
            "1 break",
            Bounds {
                batches: [1, 0, 0],
                breaks: 2,
                last_view: 2,
                ..none()
            },
        ),
        w(
            "1 leave",
            Bounds {
                batches: [1, 0, 0],
                leaving: [t, f, f],
                last_view: 2,
                ..none()
            },
        ),
    ]
}

/// The world of that name.
#[must_use]
pub fn world_named(name: &str) -> Option<Scope> {
    catalogue().into_iter().find(|scope| scope.name == name)
}
