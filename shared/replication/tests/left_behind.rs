//! Hosts that come back after the others went on without them. Each of these was found by the simulator,
//! in 5,000 seeds that were to be clean.

mod rig;

use rig::{MS, Rig, SECOND};
use shoal_replication::Standing;

fn at_work(hosts: usize) -> Rig {
    let mut rig = Rig::formed(hosts);
    rig.run_for(100 * MS);
    for i in 0..10 {
        rig.round(i % hosts);
    }
    rig
}

/// Until these and no others write.
fn run_until_writers_are(rig: &mut Rig, writers: &[usize]) {
    rig.run_until(SECOND, |rig| {
        let acts = |&h: &usize| rig.takes_commands(h) && rig.writers_of(h) == writers;
        writers.iter().all(acts)
    });
}

/// These hosts keep nothing for those any more: neither entries nor views.
fn let_behind(rig: &mut Rig, by: &[usize], behind: &[usize]) {
    let hosts: Vec<_> = behind.iter().map(|&h| rig.hosts[h].id).collect();
    for &h in by {
        rig.round(h);
        rig.run_for(50 * MS);
        rig.engine(h).let_behind(hosts.clone());
        rig.checkpoint(h);
        rig.run_for(MS);
        rig.trim_log(h);
    }
}

fn needs_snapshot(rig: &Rig, h: usize) -> bool {
    rig.status(h).standing == Standing::NeedsSnapshot
}

#[test]
fn two_hosts_equally_far_behind_do_not_wait_for_each_other() {
    // Seed 300877: each took the other for somebody who might have what both lacked, and asked it for
    // ever; who needs a snapshot only knows it once nobody is left to ask.
    let mut rig = at_work(5);
    rig.kill(3);
    rig.kill(4);
    run_until_writers_are(&mut rig, &[0, 1, 2]);
    rig.round(0);
    rig.kill(2);
    rig.start(2);
    run_until_writers_are(&mut rig, &[0, 1, 2]);
    let_behind(&mut rig, &[0, 1, 2], &[3, 4]);
    rig.start(3);
    rig.start(4);
    rig.run_until(2 * SECOND, |rig| {
        needs_snapshot(rig, 3) && needs_snapshot(rig, 4)
    });
    // And they ask those who have it, not each other.
    for h in [3, 4] {
        let sources = rig.engine(h).snapshot_sources();
        assert_eq!(sources, [0, 1, 2].map(|k| rig.hosts[k].id));
    }
}

#[test]
fn a_removed_host_that_is_asked_for_entries_says_that_it_has_none() {
    // Seed 300875: a host that came back asked one that had been removed meanwhile, and that had not
    // heard from the others that they knew. It repeated the view that removed it, and nothing else.
    let mut rig = at_work(4);
    rig.kill(3);
    run_until_writers_are(&mut rig, &[0, 1, 2]);
    let spec = rig.spec_with(0, &[], &[2]);
    rig.change_members(0, &spec).unwrap();
    rig.run_until(SECOND, |rig| rig.status(2).standing == Standing::Removed);
    for member in [0, 1] {
        rig.cut_one_way(2, member);
        rig.cut_one_way(member, 2);
    }
    rig.run_until(5 * SECOND, |rig| {
        rig.takes_commands(0) && rig.takes_commands(1)
    });
    let_behind(&mut rig, &[0, 1], &[3]);
    rig.start(3);
    rig.run_until(2 * SECOND, |rig| needs_snapshot(rig, 3));
}

#[test]
fn a_host_that_keeps_dying_comes_back_at_once_where_nothing_is_committed_without_it() {
    // Seed 300220: one of three had lost its disk for good, one acted, and the third was kept out for
    // seconds since it had dropped out again and again; all that waited for it waited as well.
    let mut rig = at_work(3);
    for _ in 0..6 {
        rig.kill(2);
        rig.run_for(50 * MS);
        rig.start(2);
        rig.run_until(60 * SECOND, |rig| rig.takes_commands(2));
        rig.run_until_converged(SECOND);
    }
    rig.kill(2);
    run_until_writers_are(&mut rig, &[0, 1]);
    rig.start(2);
    rig.run_for(50 * MS);
    rig.power_off(1);
    rig.run_until(SECOND, |rig| {
        rig.takes_commands(0) && !rig.writers_of(0).contains(&1)
    });
    // Its next life may not acknowledge in a view for which the one before has voted.
    rig.kill(2);
    rig.start(2);
    run_until_writers_are(&mut rig, &[0, 2]);
    rig.round(0);
}
