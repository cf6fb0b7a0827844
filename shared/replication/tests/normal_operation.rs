//! Normal operation: what a command costs, and that everyone executes the same.

mod rig;

use bytes::Bytes;
use rig::{MS, Rig, SECOND};
use shoal_replication::{LinkEvent, NotReady, Payload, StateReport};
use shoal_types::MachineVersion;
use shoal_types::limits::MAX_CLOCK_SKEW;

/// A cluster that has exchanged its first heartbeats.
fn settled(hosts: usize) -> Rig {
    let mut rig = Rig::formed(hosts);
    rig.run_for(100 * MS);
    rig
}

#[test]
fn a_lone_command_takes_one_round_trip_and_one_sync() {
    let mut rig = settled(3);
    // One way 40 µs, sync 100 µs: to the peer, its sync, and back.
    assert_eq!(rig.round(0), 40 + 100 + 40);
    assert_eq!(rig.round(2), 40 + 100 + 40);
    rig.run_until_converged(25 * MS);
}

#[test]
fn a_slow_own_disk_does_not_hold_an_answer_up() {
    let mut rig = settled(3);
    rig.hosts[0].sync_latency = 30 * MS;
    assert_eq!(rig.round(0), 40 + 100 + 40);
}

#[test]
fn one_slow_disk_holds_nobody_up() {
    let mut rig = settled(3);
    rig.hosts[2].sync_latency = 30 * MS;
    assert_eq!(rig.round(0), 40 + 100 + 40);
    assert_eq!(rig.round(1), 40 + 100 + 40);
}

#[test]
fn a_slow_writer_far_away_is_waited_for_with_its_clock_only() {
    let mut rig = settled(4);
    for h in 0..4 {
        rig.hosts[h].sync_latency = 200;
    }
    rig.hosts[3].sync_latency = 20 * MS;
    // Three of four must sync; the fourth only says that nothing smaller will come from it.
    assert_eq!(rig.round(0), 40 + 200 + 40);
}

#[test]
fn a_host_alone_answers_after_its_own_sync() {
    let mut rig = settled(1);
    assert_eq!(rig.round(0), 100);
}

#[test]
fn three_coordinators_interleave_in_the_same_order_everywhere() {
    let mut rig = settled(3);
    rig.hosts[1].skew = 7 * MS as i64;
    rig.hosts[2].skew = -5 * MS as i64;
    let mut commands = Vec::new();
    for i in 0..300 {
        commands.push(rig.submit(i % 3).unwrap());
        rig.run_for(30);
    }
    rig.run_until_converged(100 * MS);
    assert_eq!(rig.history.len(), 300);
    let answered = |c: &rig::Command| rig.history.answered_at(*c).is_some();
    assert!(commands.iter().all(answered));
    // Nobody's lane is served before the others' although the wall clocks differ.
    let lanes = rig.history.lanes();
    for lane in 0..3 {
        let first = lanes.iter().position(|l| *l == lane).unwrap();
        assert!(first < 12, "lane {lane} begins at {first}");
    }
}

#[test]
fn an_idle_cluster_sends_heartbeats_only() {
    let mut rig = settled(3);
    rig.round(0);
    rig.run_for(100 * MS);
    let before = rig.frames.clone();
    rig.run_for(SECOND);
    for (h, before) in before.iter().enumerate() {
        assert_eq!(
            rig.frames[h] - before,
            50 * 2,
            "frames of host {h} in a second"
        );
    }
}

#[test]
fn acknowledgements_of_many_entries_are_one_message_per_sync() {
    let mut rig = settled(3);
    rig.hosts[1].sync_latency = 5 * MS;
    let before = rig.frames[1];
    for _ in 0..100 {
        rig.submit(0).unwrap();
        rig.run_for(40);
    }
    rig.run_for(10 * MS);
    // A clock to host 0 for each entry, and two syncs' acknowledgements to two peers.
    let sent = rig.frames[1] - before;
    assert!((100..=112).contains(&sent), "{sent} frames");
}

#[test]
fn a_lost_append_is_sent_again() {
    let mut rig = settled(3);
    rig.cut_one_way(0, 1);
    rig.cut_one_way(0, 2);
    let command = rig.submit(0).unwrap();
    rig.run_for(MS);
    rig.heal();
    rig.run_until(25 * MS, |rig| rig.history.answered_at(command).is_some());
    assert_eq!(rig.view_of(0), 1);
}

#[test]
fn a_broken_connection_that_comes_back_changes_no_view() {
    let mut rig = settled(3);
    rig.tell_link(0, 1, LinkEvent::Closed, 0);
    rig.cut_one_way(0, 1);
    rig.cut_one_way(0, 2);
    let command = rig.submit(0).unwrap();
    rig.run_for(10 * MS);
    rig.heal();
    rig.show_link(0, 1);
    // Indices are exchanged as soon as the link is up again, not at the next heartbeat.
    rig.run_until(MS, |rig| rig.history.answered_at(command).is_some());
    rig.run_for(SECOND);
    assert_eq!(rig.view_of(0), 1);
}

#[test]
fn a_host_with_too_much_to_do_is_busy() {
    let mut rig = settled(3);
    rig.split(&[0]);
    let refused = loop {
        if let Err(refused) = rig.submit(0) {
            break refused;
        }
    };
    assert_eq!(refused, NotReady::Busy);
    rig.heal();
    rig.run_until_converged(SECOND);
    assert!(rig.submit(0).is_ok());
}

#[test]
fn large_batches_are_bounded_by_bytes() {
    let mut rig = settled(3);
    rig.split(&[0]);
    let filler = Bytes::from(vec![7u8; 5 << 20]);
    let mut taken = 0;
    loop {
        let command = rig.history.new_command();
        let batch = Payload::new(vec![command.to_bytes(), filler.clone()]);
        match rig.submit_payload(0, command, batch) {
            Ok(()) => taken += 1,
            Err(refused) => break assert_eq!(refused, NotReady::Busy),
        }
    }
    assert_eq!(taken, (64 / 5) + 1);
}

#[test]
fn a_host_whose_clock_is_far_ahead_follows_the_others_and_takes_no_commands_until_it_is_right() {
    let mut rig = Rig::unformed(3, 1, Default::default());
    rig.hosts[0].skew = 3_600 * SECOND as i64;
    for h in 0..3 {
        rig.form(h);
    }
    rig.run_for(100 * MS);
    let off = rig.submit(0).unwrap_err();
    assert!(
        matches!(off, NotReady::ClockOff { ahead } if ahead > 0),
        "{off}"
    );
    rig.round(1);
    rig.round(2);
    rig.run_for(SECOND);
    assert_eq!(rig.view_of(1), 1, "nobody has reason to suspect anyone");
    let right = rig.now_of(1).wall;
    assert!(rig.status(0).clock.since(right) <= MAX_CLOCK_SKEW);
    rig.hosts[0].skew = 0;
    rig.run_for(50 * MS);
    rig.round(0);
    rig.run_until_converged(100 * MS);
}

#[test]
fn a_host_whose_clock_is_far_behind_holds_nobody_up_and_takes_no_commands_until_it_is_right() {
    let mut rig = Rig::unformed(3, 1, Default::default());
    rig.hosts[2].skew = -3_600 * SECOND as i64;
    for h in 0..3 {
        rig.form(h);
    }
    rig.run_for(100 * MS);
    let off = rig.submit(2).unwrap_err();
    assert!(
        matches!(off, NotReady::ClockOff { ahead } if ahead < 0),
        "{off}"
    );
    for h in [0, 1] {
        rig.round(h);
    }
    rig.hosts[2].skew = 0;
    rig.run_for(50 * MS);
    rig.round(2);
    rig.run_until_converged(100 * MS);
    assert_eq!(rig.view_of(0), 1);
}

#[test]
fn a_host_far_behind_does_not_suspect_everyone_for_ever() {
    // Once it had heard nobody for a while, it took the first one it heard again for too far ahead, forgot
    // that one's clock for it, likewise the next one's, and so never knew enough clocks to see that it was
    // its own that was behind. It writes no lane here, so the others' view stays as it is.
    let mut rig = Rig::unformed(3, 1, Default::default());
    rig.hosts[2].skew = -3_600 * SECOND as i64;
    for h in 0..3 {
        rig.form(h);
    }
    rig.run_for(100 * MS);
    rig.leave(2);
    rig.run_for(100 * MS);
    assert_eq!(rig.writers_of(2), [0, 1]);
    rig.split(&[2]);
    rig.run_for(2 * SECOND);
    assert_eq!(rig.status(2).suspected.len(), 2);
    rig.heal();
    rig.run_for(2 * SECOND);
    assert_eq!(rig.status(2).suspected, []);
}

#[test]
fn a_host_that_cannot_tell_whether_its_clock_is_right_takes_no_commands() {
    let mut rig = Rig::unformed(3, 1, Default::default());
    rig.run_for(MS);
    rig.cut_one_way(1, 0);
    rig.cut_one_way(2, 0);
    for h in 0..3 {
        rig.form(h);
    }
    rig.run_for(50 * MS);
    assert_eq!(rig.submit(0).unwrap_err(), NotReady::ClockUnsure);
    rig.heal();
    rig.run_for(50 * MS);
    assert!(rig.submit(0).is_ok());
}

#[test]
fn the_fullest_disk_is_known_everywhere() {
    let mut rig = settled(3);
    rig.engine(1).set_disk_level(91);
    rig.run_for(50 * MS);
    assert_eq!([0, 1, 2].map(|h| rig.engine(h).fullest_disk()), [91; 3]);
    rig.kill(1);
    rig.run_for(50 * MS);
    assert_eq!(rig.engine(0).fullest_disk(), 0);
}

/// What host 0 has heard, as (host number, newest version supported).
fn heard_by_the_first(rig: &mut Rig) -> Vec<(u64, u16)> {
    let reports = rig.engine(0).state_reports();
    reports
        .map(|(host, report)| (host.0, report.supports.0))
        .collect()
}

#[test]
fn what_a_host_says_of_its_state_counts_for_one_view_and_one_life_of_it() {
    let mut rig = settled(3);
    for h in 0..3 {
        rig.engine(h).set_state_report(supporting(5));
    }
    rig.run_for(50 * MS);
    assert_eq!(heard_by_the_first(&mut rig), [(2, 5), (3, 5)]);
    rig.kill(2);
    rig.run_until(SECOND, |rig| rig.view_of(0) == 2);
    rig.run_for(50 * MS);
    let heard = heard_by_the_first(&mut rig);
    assert_eq!(heard, [(2, 5)], "the third was not heard in view 2");
    rig.start(2);
    rig.engine(2).set_state_report(supporting(4));
    rig.run_for(50 * MS);
    assert_eq!(heard_by_the_first(&mut rig), [(2, 5), (3, 4)]);
}

fn supporting(version: u16) -> StateReport {
    StateReport {
        supports: MachineVersion(version),
        ..Default::default()
    }
}
