//! A search that finds nothing proves nothing unless it can find something: drivers that break their
//! contract must end in a broken promise.

use shoal_small_worlds::{Bounds, Driver, Limits, Order, Promise, search};

const LIMITS: Limits = Limits {
    states: 3_000_000,
    threads: 1,
};

/// One batch at the first host; the third one's clock is ahead, so the batch is stable without a word
/// from it. The second host crashes and comes back, the first one goes for good.
fn one_back_one_gone(driver: Driver) -> Bounds {
    Bounds {
        batches: [1, 0, 0],
        crashes: [1, 1, 0],
        restarts: [0, 1, 0],
        ahead: [0, 0, 7],
        last_view: 2,
        driver,
        ..Bounds::default()
    }
}

#[test]
fn a_record_reported_as_durable_that_a_crash_takes_loses_an_answered_batch() {
    let bounds = one_back_one_gone(Driver::ReportsTooEarly);
    let (promise, story) = search(bounds, Order::Breadth, LIMITS).broken.unwrap();
    assert_eq!(promise, Promise::Durability, "{story}");
}

#[test]
fn a_host_that_comes_back_empty_loses_an_answered_batch() {
    let bounds = one_back_one_gone(Driver::ComesBackEmpty);
    let (promise, story) = search(bounds, Order::Breadth, LIMITS).broken.unwrap();
    assert_eq!(promise, Promise::Durability, "{story}");
}

#[test]
fn a_host_that_comes_back_empty_and_takes_batches_makes_a_second_entry_of_one_place() {
    let bounds = Bounds {
        batches: [2, 0, 0],
        crashes: [1, 0, 0],
        restarts: [1, 0, 0],
        driver: Driver::ComesBackEmpty,
        ..Bounds::default()
    };
    let (promise, story) = search(bounds, Order::Breadth, LIMITS).broken.unwrap();
    assert_eq!(promise, Promise::NoPanic, "{story}");
    assert!(story.contains("differs between two hosts"), "{story}");
}

/// The bounds of the tests above are not what breaks anything.
#[test]
fn an_honest_driver_keeps_the_same_promises_in_the_same_bounds() {
    let bounds = one_back_one_gone(Driver::Honest);
    let found = search(bounds, Order::Breadth, LIMITS);
    assert!(found.broken.is_none(), "{:?}", found.broken);
}
