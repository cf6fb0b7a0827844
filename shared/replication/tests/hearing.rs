//! Links that carry words in one direction only: who hears badly leaves the view, at once and alone.

mod rig;

use rig::{MS, Rig, SECOND, Us};
use shoal_replication::NotReady;

/// The longest time until somebody far away is missed, and what it takes to agree on it then.
const NOTICED: Us = 300 * MS + 50 * MS;

/// A cluster that has executed some commands of each host.
fn at_work(hosts: usize) -> Rig {
    let mut rig = Rig::formed(hosts);
    rig.run_for(100 * MS);
    for i in 0..10 {
        rig.round(i % hosts);
    }
    rig
}

fn all_but(hosts: usize, one: usize) -> Vec<usize> {
    (0..hosts).filter(|&h| h != one).collect()
}

/// What waits at a host that does not hear one other waited for 881 ms (median, real processes): the
/// others saw nothing wrong with it, and it gave up by itself only after two pre-votes, whose patience
/// grows with the slowest sync of late.
#[test]
fn who_does_not_hear_one_other_is_out_right_after_the_shortest_silence() {
    for hosts in [3, 4] {
        for from in 0..hosts {
            for to in all_but(hosts, from) {
                let mut rig = at_work(hosts);
                let view = rig.view_of(to);
                let cut_at = rig.now;
                rig.cut_one_way(from, to);
                rig.run_until(2 * SECOND, |rig| rig.view_of(to) > view);
                let took = rig.now - cut_at;
                assert!(took < NOTICED, "{from} to {to} of {hosts}: {took} µs");
                rig.run_for(5 * MS);
                assert_eq!(rig.submit(to).unwrap_err(), NotReady::NotWriter);
                for h in all_but(hosts, to) {
                    assert_eq!(rig.writers_of(h), all_but(hosts, to));
                    rig.round(h);
                }
                rig.run_for(5 * SECOND);
                assert_eq!(rig.view_of(from), view + 1, "one change, and no more");
                rig.heal();
                rig.run_until_converged(5 * SECOND);
                assert_eq!(rig.view_of(from), view + 2);
                assert_eq!(rig.writers_of(from).len(), hosts);
            }
        }
    }
}

#[test]
fn slow_disks_do_not_make_a_deaf_host_wait() {
    let mut rig = at_work(3);
    for h in 0..3 {
        rig.hosts[h].sync_latency = 80 * MS;
    }
    for i in 0..6 {
        rig.round(i % 3);
    }
    let (cut_at, view) = (rig.now, rig.view_of(1));
    rig.cut_one_way(0, 1);
    rig.run_until(3 * SECOND, |rig| rig.view_of(1) > view);
    let took = rig.now - cut_at;
    assert!(took < NOTICED + 4 * 80 * MS, "{took} µs");
}

#[test]
fn of_two_that_do_not_hear_each_other_one_goes_on() {
    for (one, other, third) in [(0, 1, 2), (0, 2, 1), (1, 2, 0)] {
        let mut rig = at_work(3);
        let view = rig.view_of(third);
        let cut_at = rig.now;
        rig.cut_one_way(one, other);
        rig.cut_one_way(other, one);
        rig.run_until(2 * SECOND, |rig| {
            rig.view_of(third) > view && rig.takes_commands(third)
        });
        let took = rig.now - cut_at;
        assert!(took < NOTICED, "{took} µs");
        let mut writers = vec![one, third];
        writers.sort_unstable();
        assert_eq!(rig.writers_of(third), writers);
        rig.run_for(10 * MS);
        rig.round(one);
        rig.run_for(5 * SECOND);
        assert_eq!(rig.view_of(third), view + 1, "neither comes and goes");
        rig.heal();
        rig.run_until_converged(5 * SECOND);
        assert_eq!(rig.writers_of(third), [0, 1, 2]);
    }
}

#[test]
fn who_hears_nobody_stops_the_rest_no_longer_than_a_host_that_died() {
    let mut rig = at_work(3);
    let cut_at = rig.now;
    rig.cut_one_way(1, 0);
    rig.cut_one_way(2, 0);
    rig.run_until(2 * SECOND, |rig| {
        rig.writers_of(1) == [1, 2] && rig.takes_commands(1)
    });
    let took = rig.now - cut_at;
    assert!(took < NOTICED, "{took} µs");
}

/// Host 1 misses host 0, host 2 misses host 1. If those that hear fewest went first, host 0 would be
/// left alone.
#[test]
fn as_many_stay_as_hear_each_other() {
    let mut rig = at_work(3);
    rig.cut_one_way(0, 1);
    rig.cut_one_way(1, 2);
    rig.run_until(2 * SECOND, |rig| {
        rig.writers_of(0) == [0, 2] && rig.takes_commands(0) && rig.takes_commands(2)
    });
    rig.round(0);
    rig.round(2);
}

#[test]
fn a_host_is_not_let_in_while_a_writer_misses_it() {
    let mut rig = at_work(3);
    rig.kill(2);
    rig.run_until(SECOND, |rig| rig.writers_of(0) == [0, 1]);
    rig.run_for(SECOND);
    rig.cut_one_way(2, 1);
    let view = rig.view_of(0);
    rig.start(2);
    rig.run_for(5 * SECOND);
    assert_eq!((rig.view_of(0), rig.writers_of(0)), (view, vec![0, 1]));
    rig.round(1);
    rig.heal();
    rig.show_link(1, 2);
    rig.show_link(2, 1);
    rig.run_until_converged(5 * SECOND);
    assert_eq!(rig.writers_of(0), [0, 1, 2]);
}

/// Both that hear it again say so within a heartbeat of each other; neither is deaf.
#[test]
fn a_host_that_woke_up_makes_nobody_deaf() {
    for ms in 300..330 {
        let mut rig = at_work(3);
        rig.pause(0, ms * MS);
        rig.run_for(3 * SECOND);
        for h in [1, 2] {
            assert!(rig.writers_of(0).contains(&h), "after {ms} ms");
        }
        assert!(rig.view_of(0) <= 3, "{ms} ms: {} views", rig.view_of(0));
    }
}
