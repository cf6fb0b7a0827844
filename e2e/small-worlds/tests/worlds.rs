//! The beginning of each search, and small worlds to their ends; the binary does all of it.

use shoal_small_worlds::{Limits, Order, catalogue, search, world_named};

const SHORT: Limits = Limits {
    states: 30_000,
    threads: 1,
};

const LONG: Limits = Limits {
    states: 1_000_000,
    threads: 1,
};

#[test]
fn no_world_breaks_a_promise_in_its_first_states() {
    for scope in catalogue() {
        let found = search(scope.bounds, Order::Breadth, SHORT);
        assert!(found.broken.is_none(), "{}: {:?}", scope.name, found.broken);
        assert!(found.states > 1_000, "{}: {}", scope.name, found.states);
    }
}

#[test]
fn no_world_breaks_a_promise_at_the_end_of_long_ways() {
    for scope in catalogue() {
        let found = search(scope.bounds, Order::Depth, SHORT);
        assert!(found.broken.is_none(), "{}: {:?}", scope.name, found.broken);
        assert!(found.depth > 15, "{}: {}", scope.name, found.depth);
    }
}

#[test]
fn worlds_that_are_small_enough_are_seen_to_their_ends() {
    for name in [
        "a letter is lost",
        "crash, rivals by timer",
        "a host leaves",
    ] {
        let scope = world_named(name).unwrap();
        let found = search(scope.bounds, Order::Breadth, LONG);
        assert!(found.exhausted && found.broken.is_none(), "{found:?}");
        let missed = scope.reaches.iter().find(|s| !found.sights.contains(s));
        assert_eq!(missed, None, "{name}");
    }
}

#[test]
fn the_order_of_a_search_makes_no_difference_to_what_there_is() {
    let scope = world_named("a letter is lost").unwrap();
    let breadth = search(scope.bounds.clone(), Order::Breadth, LONG);
    let threads = 2;
    let depth = search(scope.bounds, Order::Depth, Limits { threads, ..LONG });
    assert_eq!((breadth.states, breadth.hosts), (depth.states, depth.hosts));
}
