//! Snapshots told over cores and disks in memory: who gets one, that it is whole, and that a crash in the
//! middle leaves the host as before or as after.

use super::rig::{QUEUE, Rig, receive};
use shoal_types::{
    Command, Delivery, HostId, HostReply, HostRequest, HostState, Outcome, QueueSettings, Revision,
};

const A: HostId = HostId(1);
const B: HostId = HostId(2);
const C: HostId = HostId(3);
const D: HostId = HostId(4);

/// Three hosts whose logs keep nothing for who is away, with messages waiting and their log's beginning
/// gone.
fn trimmed() -> Rig {
    let mut rig = Rig::with_queue(3, QueueSettings::default());
    rig.keep_little();
    for n in 0..40 {
        rig.send_bytes(A, &body(n));
    }
    rig
}

fn body(n: u64) -> Vec<u8> {
    let mut state = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    };
    (0..60_000).map(|_| byte()).collect()
}

/// Sends and takes messages until every host that runs has let go of the beginning of its log.
fn let_logs_begin_later(rig: &mut Rig, hosts: &[HostId]) {
    let first: Vec<_> = hosts
        .iter()
        .map(|host| rig.core(*host).log().last_lsn())
        .collect();
    for n in 1_000.. {
        rig.send_bytes(A, &body(n));
        let (outcome, _) = rig
            .execute_with_bodies(B, receive(1, None), vec![])
            .unwrap();
        acknowledge(rig, outcome);
        rig.run_for(200_000);
        let later = |(host, first)| rig.core(host).log().first_lsn() > first;
        if hosts.iter().copied().zip(first.iter().copied()).all(later) {
            return;
        }
        assert!(n < 4_000, "the logs are never trimmed");
    }
}

fn deliveries(outcome: Outcome) -> Vec<Delivery> {
    match outcome {
        Outcome::Received(deliveries) => deliveries,
        other => panic!("{other:?}"),
    }
}

fn acknowledge(rig: &mut Rig, outcome: Outcome) {
    let receipts = deliveries(outcome).iter().map(|d| d.receipt).collect();
    let ack = Command::Acknowledge {
        partition: QUEUE,
        receipts,
    };
    rig.execute(C, ack, vec![]).unwrap();
}

/// All waiting messages come out at this host as they went in.
fn all_bodies_are_there(rig: &mut Rig, host: HostId) {
    let sound = |delivery: &Delivery, bytes: &[u8]| {
        delivery.size as usize == bytes.len() && delivery.crc == crc32c::crc32c(bytes)
    };
    let mut seen = 0;
    loop {
        let (outcome, bodies) = rig
            .execute_with_bodies(host, receive(10, None), vec![])
            .unwrap();
        let got = deliveries(outcome);
        if got.is_empty() {
            break;
        }
        for (delivery, bytes) in got.iter().zip(&bodies) {
            assert!(sound(delivery, bytes), "{delivery:?}");
        }
        seen += got.len();
    }
    assert!(seen >= 38, "{seen}");
}

fn order_to_add(rig: &mut Rig, host: HostId) -> shoal_host::core::OperationId {
    rig.add_host(host);
    let mut spec = rig.spec();
    spec.revision = Revision(2);
    let learn = HostRequest::Learn { spec: spec.clone() };
    assert_eq!(rig.ask(host, learn), Ok(HostReply::Learning));
    rig.call(A, HostRequest::ChangeMembers { spec }, Vec::new())
}

#[test]
fn a_newcomer_whose_entries_are_in_no_log_gets_a_snapshot_and_becomes_a_member() {
    let mut rig = trimmed();
    let_logs_begin_later(&mut rig, &[A, B, C]);
    let change = order_to_add(&mut rig, D);
    rig.run_until(|rig| rig.is_answered(change));
    let answer = rig.answer(change).unwrap().0;
    assert_eq!(answer, Ok(HostReply::MembersChanged));
    rig.run_until(|rig| rig.acting().len() == 4);
    assert_eq!(rig.restarts(D), 1, "it went on from a snapshot");
    rig.run_for(1_000_000);
    rig.states_agree();
    all_bodies_are_there(&mut rig, D);
}

#[test]
fn a_host_that_installs_a_snapshot_waits_for_its_disk_alone() {
    // Its timers stand still by then. A time at which one of them was due lay in the past soon, and the
    // driver turned round and round until the disk was done.
    let mut rig = trimmed();
    let_logs_begin_later(&mut rig, &[A, B, C]);
    order_to_add(&mut rig, D);
    rig.run_until(|rig| rig.restarts(D) == 1);
    assert!(!rig.wakes_at_rest(D));
}

#[test]
fn a_member_that_was_away_for_long_holds_up_no_log_and_gets_a_snapshot_when_it_is_back() {
    let mut rig = trimmed();
    rig.run_until(|rig| rig.acting().len() == 3);
    rig.kill(C);
    rig.run_until(|rig| rig.acting().len() == 2);
    let_go_without(&mut rig);
    rig.start(C);
    rig.run_until(|rig| rig.acting().len() == 3);
    assert_eq!(rig.restarts(C), 1, "it went on from a snapshot");
    rig.run_for(1_000_000);
    rig.states_agree();
    all_bodies_are_there(&mut rig, C);
}

fn let_go_without(rig: &mut Rig) {
    let first = rig.core(A).log().last_lsn();
    for n in 1_000..4_000 {
        rig.send_bytes(A, &body(n));
        let (outcome, _) = rig
            .execute_with_bodies(B, receive(1, None), vec![])
            .unwrap();
        let receipts = deliveries(outcome).iter().map(|d| d.receipt).collect();
        let ack = Command::Acknowledge {
            partition: QUEUE,
            receipts,
        };
        rig.execute(A, ack, vec![]).unwrap();
        rig.run_for(200_000);
        if [A, B]
            .iter()
            .all(|h| rig.core(*h).log().first_lsn() > first)
        {
            return;
        }
    }
    panic!("the logs are never trimmed");
}

#[test]
fn a_receiver_that_dies_at_any_moment_comes_back_and_gets_there_in_the_end() {
    for after in [1, 5, 20, 40, 60, 80, 120, 200, 400] {
        let mut rig = trimmed();
        let_logs_begin_later(&mut rig, &[A, B, C]);
        let change = order_to_add(&mut rig, D);
        rig.run_until(|rig| rig.core(D).state() == HostState::NeedsSnapshot);
        for _ in 0..after {
            rig.run_for(1_000);
        }
        rig.kill(D);
        rig.start(D);
        rig.run_until(|rig| rig.acting().len() == 4);
        rig.run_until(|rig| rig.is_answered(change));
        rig.run_for(1_000_000);
        rig.states_agree();
    }
}

#[test]
fn the_power_fails_right_after_the_install_and_every_body_is_there() {
    // The snapshot is in force once it is installed. Bodies that were only in the page cache by then
    // would be gone now, with the messages that they belong to.
    let mut rig = trimmed();
    let_logs_begin_later(&mut rig, &[A, B, C]);
    order_to_add(&mut rig, D);
    rig.run_until(|rig| rig.restarts(D) == 1);
    rig.power_off();
    for host in [A, B, C, D] {
        rig.start(host);
    }
    rig.run_until(|rig| [A, B, C].iter().all(|host| rig.acting().contains(host)));
    let mut spec = rig.spec();
    spec.revision = Revision(2);
    rig.call(A, HostRequest::ChangeMembers { spec }, Vec::new());
    rig.run_until(|rig| rig.acting().len() == 4);
    rig.run_for(1_000_000);
    rig.states_agree();
    all_bodies_are_there(&mut rig, D);
}

#[test]
fn a_snapshot_comes_from_another_peer_if_one_has_a_body_that_is_damaged() {
    let mut rig = trimmed();
    let_logs_begin_later(&mut rig, &[A, B, C]);
    rig.damage_a_body(A);
    order_to_add(&mut rig, D);
    rig.run_until(|rig| rig.acting().len() == 4);
    assert!(
        rig.abandoned(D) > 0,
        "the first peer asked is the one with the damage"
    );
    rig.run_for(1_000_000);
    rig.states_agree();
    all_bodies_are_there(&mut rig, D);
}

#[test]
fn a_chunk_that_is_lost_or_comes_damaged_is_asked_for_again() {
    let mut rig = trimmed();
    let_logs_begin_later(&mut rig, &[A, B, C]);
    rig.disturb_snapshots(7);
    order_to_add(&mut rig, D);
    rig.run_until(|rig| rig.acting().len() == 4);
    let (refused, again) = rig.chunks_repeated(D);
    assert!(refused > 0 && again > 0, "{refused} {again}");
    assert_eq!(rig.abandoned(D), 0);
    rig.run_for(1_000_000);
    rig.states_agree();
    all_bodies_are_there(&mut rig, D);
}
