//! Hosts that lag: what they miss is fetched from memory or from the log, and logs are kept as long as
//! someone may need them.

mod rig;

use bytes::Bytes;
use rig::{MS, Rig, SECOND};
use shoal_replication::Payload;

fn at_work(hosts: usize) -> Rig {
    let mut rig = Rig::formed(hosts);
    rig.run_for(100 * MS);
    rig
}

#[test]
fn a_host_far_behind_catches_up_from_the_others_logs() {
    let mut rig = at_work(3);
    rig.kill(2);
    rig.run_for(100 * MS);
    for i in 0..3_000 {
        rig.submit(i % 2).unwrap();
        rig.run_for(200);
    }
    // Some views as well.
    rig.kill(1);
    rig.start(1);
    rig.run_until(SECOND, |rig| rig.takes_commands(1));
    for i in 0..500 {
        rig.submit(i % 2).unwrap();
        rig.run_for(200);
    }
    rig.start(2);
    rig.run_until_converged(2 * SECOND);
    assert_eq!(rig.writers_of(0), [0, 1, 2]);
    assert!(rig.logs_read > 0, "nothing was read from a log");
}

#[test]
fn memory_is_bounded_while_a_member_is_away() {
    let mut rig = at_work(3);
    rig.power_off(2);
    rig.run_for(600 * MS);
    let filler = Bytes::from(vec![7u8; 5 << 20]);
    for _ in 0..12 {
        let command = rig.history.new_command();
        let batch = Payload::new(vec![command.to_bytes(), filler.clone()]);
        rig.submit_payload(0, command, batch).unwrap();
        rig.run_for(50 * MS);
    }
    rig.heal();
    rig.start(2);
    rig.run_until_converged(5 * SECOND);
    assert!(rig.logs_read > 0, "all 60 MiB were still in memory");
}

#[test]
fn a_sealed_view_is_executed_while_it_is_fetched() {
    let mut rig = at_work(3);
    rig.kill(2);
    rig.run_for(100 * MS);
    let filler = Bytes::from(vec![7u8; 1 << 20]);
    for i in 0..20 {
        let command = rig.history.new_command();
        let batch = Payload::new(vec![command.to_bytes(), filler.clone()]);
        rig.submit_payload(i % 2, command, batch).unwrap();
        rig.run_for(5 * MS);
    }
    rig.kill(1);
    rig.start(1);
    rig.run_until(SECOND, |rig| rig.takes_commands(1));
    rig.start(2);
    rig.latency = 5 * MS;
    // At most two of the 1 MiB entries of each lane wait for the other lane's.
    let mut seen = 0;
    while !rig.takes_commands(2) {
        assert!(rig.step(rig.now + SECOND), "{}", rig.describe());
        let waiting = rig
            .status(2)
            .lanes
            .iter()
            .map(|l| l.held - l.executed)
            .sum::<u64>();
        assert!(waiting <= 5, "{waiting} entries wait in memory");
        seen = seen.max(waiting);
    }
    assert!(seen > 0);
    rig.run_until_converged(SECOND);
}

#[test]
fn a_restart_from_a_checkpoint_replays_only_the_tail() {
    let mut rig = at_work(3);
    for i in 0..200 {
        rig.round(i % 3);
    }
    rig.run_until_converged(SECOND);
    for h in 0..3 {
        rig.checkpoint(h);
    }
    for i in 0..20 {
        rig.round(i % 3);
    }
    rig.run_until_converged(SECOND);
    for h in 0..3 {
        rig.trim_log(h);
        rig.kill(h);
    }
    for h in 0..3 {
        rig.start(h);
        let replayed = rig.hosts[h].disk.replayed;
        assert!(replayed < 40, "host {h} replayed {replayed} records");
    }
    rig.run_until_converged(SECOND);
    rig.round(1);
}

#[test]
fn a_log_is_kept_for_a_member_that_is_away() {
    let mut rig = at_work(3);
    rig.round(0);
    rig.kill(2);
    rig.run_for(100 * MS);
    for i in 0..300 {
        rig.round(i % 2);
    }
    rig.run_until(SECOND, |rig| rig.hosts[1].executed == rig.history.len());
    for h in 0..2 {
        rig.checkpoint(h);
        rig.run_for(MS);
        rig.trim_log(h);
        assert!(
            rig.hosts[h].disk.left() >= 300,
            "entries that host 2 needs are gone"
        );
    }
    rig.start(2);
    rig.run_until_converged(SECOND);
    for i in 0..20 {
        rig.round(i % 3);
    }
    rig.run_for(100 * MS);
    for h in 0..3 {
        rig.checkpoint(h);
        rig.run_for(MS);
        rig.trim_log(h);
        let left = rig.hosts[h].disk.left();
        assert!(left < 20, "host {h} keeps {left} records that nobody needs");
    }
}

#[test]
fn an_old_question_does_not_bring_back_what_was_trimmed() {
    // Found by random schedules (seed 11877 of 3 hosts): a fetch that arrived long after its sender had
    // gone on asked for entries that were no longer in the log.
    let mut rig = at_work(3);
    rig.kill(2);
    rig.run_for(100 * MS);
    for i in 0..50 {
        rig.round(i % 2);
    }
    rig.latency = 300;
    rig.duplication = 1_000;
    rig.reorder = true;
    rig.latency_jitter = 60 * MS;
    rig.start(2);
    for _ in 0..200 {
        rig.run_for(2 * MS);
        for h in 0..2 {
            rig.checkpoint(h);
            rig.trim_log(h);
        }
    }
    rig.run_until_converged(5 * SECOND);
}
