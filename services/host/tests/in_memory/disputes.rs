//! Hosts whose states differ: who is believed, and what clients are told until it is decided.

use super::rig::{QUEUE, Rig, receive, send_of};
use super::{A, B, C};
use shoal_types::{Applied, ErrorCode, HostId, Query, QueueSettings, Ts};

/// A cluster with some messages, of which every host has a checkpoint.
fn with_checkpoints(hosts: u64) -> Rig {
    let mut rig = Rig::with_queue(hosts, QueueSettings::default());
    for _ in 0..5 {
        rig.send(A, "x").unwrap();
    }
    rig.run_for(61_000_000);
    rig
}

/// Entries go on, one every tenth of a second, until the condition holds.
fn send_until(rig: &mut Rig, host: HostId, done: impl Fn(&Rig) -> bool) {
    for _ in 0..100 {
        if done(rig) {
            return;
        }
        let request = rig.request(send_of("x"));
        rig.call(host, request, vec!["x".into()]);
        rig.run_for(100_000);
    }
    panic!("it did not come about within 10 s of sending");
}

#[test]
fn a_host_whose_state_differs_stops_and_the_other_two_go_on() {
    let mut rig = with_checkpoints(3);
    rig.kill(C);
    rig.falsify(C);
    rig.may_stop(C);
    // It is as wrong after every start.
    for _ in 0..2 {
        rig.start(C);
        send_until(&mut rig, A, |rig| rig.fatal(C).is_some());
        let reason = rig.fatal(C).unwrap();
        assert!(reason.contains("not that of a majority"), "{reason}");
        assert!(reason.contains("at position "), "{reason}");
        let hashes = reason.split(|c: char| !c.is_ascii_hexdigit());
        let hashes: Vec<_> = hashes.filter(|word| word.len() == 16).collect();
        assert_eq!(hashes.len(), 3, "{reason}");
        assert!(hashes[1] == hashes[2] && hashes[0] != hashes[1], "{reason}");
        rig.run_for(600_000);
        assert!(rig.send(A, "x").is_ok());
        assert!(rig.send(B, "x").is_ok());
        assert_eq!(rig.acting(), [A, B]);
    }
}

#[test]
fn two_hosts_that_differ_take_no_commands_and_say_why_until_one_comes_back_sound() {
    let mut rig = with_checkpoints(2);
    rig.kill(B);
    let sound = rig.falsify(B);
    let false_rows = rig.stored(B);
    rig.run_for(600_000);
    rig.start(B);
    rig.run_until(|rig| rig.acting().len() == 2);
    send_until(&mut rig, A, |rig| rig.acting().is_empty());
    rig.run_for(500_000);
    let executed = |rig: &Rig| [A, B].map(|host| rig.core(host).machine().executed());
    let before = executed(&rig);
    for host in [A, B] {
        assert!(rig.core(host).states_differ());
        let refusal = rig.send(host, "no").unwrap_err();
        assert_eq!(
            (refusal.code, refusal.applied),
            (ErrorCode::NotReady, Applied::No)
        );
        let why = &refusal.detail;
        assert!(
            why.contains("no majority of them agrees: at position"),
            "{why}"
        );
        let query = rig.query(Query::Counts { partition: QUEUE });
        let asked = rig.call(host, query, vec![]);
        assert!(rig.answer(asked).unwrap().0.is_err());
    }
    // Nothing is executed and nothing written over: the next checkpoint would be due by now.
    rig.run_for(70_000_000);
    assert_eq!(executed(&rig), before);
    rig.kill(B);
    assert!(rig.stored(B) == false_rows);
    rig.restore(B, sound);
    rig.start(B);
    send_until(&mut rig, B, |rig| rig.acting().len() == 2);
    rig.run_for(1_000_000);
    let hash = |host| rig.core(host).machine().full_hash();
    assert_eq!(hash(A), hash(B));
    assert!(rig.send(A, "yes").is_ok());
}

#[test]
fn during_a_dispute_nobody_is_told_what_was_executed() {
    let mut rig = with_checkpoints(2);
    rig.execute(A, receive(1_000, None), vec![]).unwrap();
    let wait = rig.request(receive(1, Some(Ts(u64::MAX / 2))));
    let waiting = rig.call(A, wait, vec![]);
    rig.run_for(50_000);
    assert!(!rig.is_answered(waiting));
    // On its way when the difference is heard of, executed afterwards.
    let send = rig.request(send_of("x"));
    let sent = rig.call(A, send, vec!["x".into()]);
    let (_, mut state) = rig.core(A).engine().state_reports().next().unwrap();
    state.mark.as_mut().expect("it was heard").hash ^= 1;
    let wrong = rig.heartbeat(B, state);
    rig.hear(A, B, wrong);
    assert_eq!(rig.core(A).machine().totals().0, 6, "it was executed");
    for operation in [waiting, sent] {
        let (result, _) = rig.answer(operation).unwrap();
        let refusal = result.unwrap_err();
        assert_eq!(
            (refusal.code, refusal.applied),
            (ErrorCode::NotReady, Applied::Unknown)
        );
    }
    // B's next heartbeat takes it back.
    rig.run_for(100_000);
    assert!(rig.send(A, "x").is_ok());
}

#[test]
fn a_dispute_of_two_is_decided_by_the_third_as_soon_as_it_is_back() {
    let mut rig = with_checkpoints(3);
    rig.kill(C);
    rig.run_for(600_000);
    rig.kill(B);
    rig.falsify(B);
    rig.start(B);
    send_until(&mut rig, A, |rig| rig.core(A).states_differ());
    rig.run_for(1_000_000);
    assert_eq!((rig.acting(), rig.fatal(B)), (vec![], None));
    rig.may_stop(B);
    rig.start(C);
    rig.run_until(|rig| rig.fatal(B).is_some());
    rig.run_until(|rig| rig.acting() == [A, C]);
    assert!(rig.send(C, "goes on").is_ok());
}
