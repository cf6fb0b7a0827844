//! What a cluster of hosts does, told over cores and disks in memory. Goal: the join of engine, queues
//! and log is right; what each of them does alone is tested where it lives.

mod rig;

use rig::{QUEUE, Rig, receive, send_of};
use shoal_types::{
    Command, Delivery, ErrorCode, HostId, HostReply, HostRequest, HostState, Outcome,
    QueueSettings, ReceiptResult, Revision, SendResult, Sequence, Ts,
};

const A: HostId = HostId(1);
const B: HostId = HostId(2);
const C: HostId = HostId(3);
const D: HostId = HostId(4);

fn trio() -> Rig {
    Rig::with_queue(3, QueueSettings::default())
}

fn sequence_of(sent: Outcome) -> u64 {
    match sent {
        Outcome::Sent(results) => match results[..] {
            [SendResult::Accepted(sequence)] => sequence.number(),
            ref other => panic!("{other:?}"),
        },
        other => panic!("{other:?}"),
    }
}

fn deliveries(received: Outcome) -> Vec<Delivery> {
    match received {
        Outcome::Received(deliveries) => deliveries,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_message_goes_in_at_one_host_and_comes_out_at_another() {
    let mut rig = trio();
    assert_eq!(sequence_of(rig.send(A, "hello").unwrap()), 1);
    let (outcome, bodies) = rig
        .execute_with_bodies(B, receive(10, None), vec![])
        .unwrap();
    let got = deliveries(outcome);
    assert_eq!(
        (got.len(), got[0].sequence, &bodies[0][..]),
        (1, Sequence(1), &b"hello"[..])
    );
    let ack = Command::Acknowledge {
        partition: QUEUE,
        receipts: vec![got[0].receipt],
    };
    let done = rig.execute(C, ack, vec![]).unwrap();
    assert_eq!(done, Outcome::Receipts(vec![ReceiptResult::Done]));
    for host in rig.hosts() {
        rig.run_until(|rig| rig.core(host).machine().totals() == (0, 0));
    }
}

#[test]
fn all_hosts_come_to_the_same_state() {
    let mut rig = trio();
    for n in 0..30 {
        let host = HostId(1 + n % 3);
        rig.send(host, "x").unwrap();
        if n % 4 == 0 {
            rig.execute(HostId(1 + (n + 1) % 3), receive(2, None), vec![])
                .unwrap();
        }
    }
    rig.run_for(1_000_000);
    let hashes: Vec<_> = rig
        .hosts()
        .iter()
        .map(|h| {
            (
                rig.core(*h).machine().state_hash(),
                rig.core(*h).machine().full_hash(),
            )
        })
        .collect();
    assert_eq!(hashes[0], hashes[1]);
    assert_eq!(hashes[1], hashes[2]);
}

#[test]
fn a_waiting_receive_gets_the_message_that_another_host_takes() {
    let mut rig = trio();
    let wait = receive(1, Some(Ts(u64::MAX / 2)));
    let request = rig.request(wait);
    let operation = rig.call(B, request, vec![]);
    rig.run_for(50_000);
    assert!(!rig.is_answered(operation), "nothing was sent yet");
    rig.send(A, "at last").unwrap();
    rig.run_until(|rig| rig.is_answered(operation));
    let (result, bodies) = rig.answer(operation).unwrap();
    let Ok(HostReply::Outcome(outcome)) = result else {
        panic!("{result:?}")
    };
    assert_eq!(deliveries(outcome).len(), 1);
    assert_eq!(&bodies[0][..], b"at last");
}

#[test]
fn a_client_that_left_while_it_waited_takes_no_message_along() {
    let mut rig = trio();
    let request = rig.request(receive(1, Some(Ts(u64::MAX / 2))));
    let operation = rig.call(B, request, vec![]);
    rig.run_for(50_000);
    rig.cancel(B, operation);
    rig.run_for(50_000);
    rig.send(A, "for somebody who is there").unwrap();
    let got = deliveries(rig.execute(C, receive(1, None), vec![]).unwrap());
    assert_eq!((got.len(), got[0].receive_count), (1, 1));
}

#[test]
fn a_receive_repeated_at_the_same_host_keeps_what_it_is_given() {
    // The first call's connection broke and its client asked again. Cancelling the first call took the
    // waiter, or the message it had been given, away from the second one, since both are one request.
    for cancel_first in [true, false] {
        let mut rig = trio();
        let request = rig.request(receive(1, Some(Ts(u64::MAX / 2))));
        let first = rig.call(B, request.clone(), vec![]);
        rig.run_for(50_000);
        let second = if cancel_first {
            rig.cancel(B, first);
            rig.call(B, request, vec![])
        } else {
            let second = rig.call(B, request, vec![]);
            rig.cancel(B, first);
            second
        };
        rig.run_for(50_000);
        rig.send(A, "once").unwrap();
        rig.run_until(|rig| rig.is_answered(second));
        let (result, bodies) = rig.answer(second).unwrap();
        assert_eq!((result.is_ok(), bodies.len()), (true, 1));
        rig.run_for(50_000);
        let others = rig.execute(C, receive(1, None), vec![]).unwrap();
        assert_eq!(deliveries(others).len(), 0, "it is leased");
    }
}

#[test]
fn a_full_disk_refuses_sends_and_acknowledging_makes_room_again() {
    let mut rig = Rig::with_log_of(Some(16 << 20), 3, QueueSettings::default());
    let body = bytes::Bytes::from(vec![b'x'; 256 << 10]);
    let mut send = send_of("");
    if let Command::Send { items, .. } = &mut send {
        items[0].size = body.len() as u32;
    }
    let mut sent = 0;
    let refusal = loop {
        match rig.execute(A, send.clone(), vec![body.clone()]) {
            Ok(_) => sent += 1,
            Err(refusal) => break refusal,
        }
        assert!(sent < 100, "16 MiB do not hold 25 MiB");
        rig.run_for(1_000_000);
    };
    assert_eq!(refusal.code, ErrorCode::DiskFull);
    let got = deliveries(rig.execute(B, receive(1_000, None), vec![]).unwrap());
    assert!(!got.is_empty(), "receives go on");
    let mut left = got;
    while !left.is_empty() {
        let receipts = left.iter().map(|d| d.receipt).collect();
        let partition = QUEUE;
        let ack = Command::Acknowledge {
            partition,
            receipts,
        };
        rig.execute(C, ack, vec![]).unwrap();
        left = deliveries(rig.execute(B, receive(1_000, None), vec![]).unwrap());
    }
    // The next checkpoint covers it all, and the segments go.
    rig.run_for(65_000_000);
    rig.execute(A, send, vec![body]).unwrap();
}

#[test]
fn a_cluster_is_formed_once_however_often_it_is_asked_for() {
    let mut rig = trio();
    let again = rig.form_again(A);
    rig.run_until(|rig| rig.is_answered(again));
    assert!(matches!(
        rig.answer(again),
        Some((Ok(HostReply::Formed), _))
    ));
}

#[test]
fn a_send_larger_than_any_entry_is_refused_before_it_is_replicated() {
    let mut rig = trio();
    let body = bytes::Bytes::from(vec![b'x'; 6 << 20]);
    let mut send = send_of("");
    if let Command::Send { items, .. } = &mut send {
        items[0].size = body.len() as u32;
    }
    let refusal = rig.execute(A, send, vec![body]).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::TooLarge);
}

#[test]
fn losing_a_host_loses_nothing_and_the_others_go_on() {
    let mut rig = trio();
    for _ in 0..10 {
        rig.send(C, "kept").unwrap();
    }
    rig.kill(C);
    rig.run_for(600_000);
    assert_eq!(sequence_of(rig.send(A, "after").unwrap()), 11);
    let got = deliveries(rig.execute(B, receive(100, None), vec![]).unwrap());
    let numbers: Vec<u64> = got.iter().map(|d| d.sequence.number()).collect();
    assert_eq!(numbers, (1..=11).collect::<Vec<_>>());
}

#[test]
fn a_host_that_was_killed_catches_up_from_the_others_and_takes_commands_again() {
    let mut rig = trio();
    rig.send(A, "before").unwrap();
    rig.kill(C);
    rig.run_for(600_000);
    for _ in 0..20 {
        rig.send(A, "missed").unwrap();
    }
    rig.start(C);
    rig.run_until(|rig| rig.acting().len() == 3);
    assert_eq!(rig.core(C).machine().totals().0, 21);
    assert_eq!(sequence_of(rig.send(C, "back").unwrap()), 22);
}

#[test]
fn what_was_acknowledged_survives_power_loss_of_all_hosts() {
    let mut rig = trio();
    for n in 0..25 {
        rig.send(HostId(1 + n % 3), "durable").unwrap();
    }
    let leased = deliveries(rig.execute(A, receive(5, None), vec![]).unwrap());
    let gone: Vec<_> = leased.iter().take(3).map(|d| d.receipt).collect();
    rig.execute(
        B,
        Command::Acknowledge {
            partition: QUEUE,
            receipts: gone,
        },
        vec![],
    )
    .unwrap();
    rig.power_off();
    for host in [A, B, C] {
        rig.start(host);
    }
    rig.run_until(|rig| rig.acting().len() == 3);
    assert_eq!(rig.core(A).machine().totals().0, 22);
    let (outcome, bodies) = rig
        .execute_with_bodies(C, receive(100, None), vec![])
        .unwrap();
    let numbers: Vec<u64> = deliveries(outcome)
        .iter()
        .map(|d| d.sequence.number())
        .collect();
    assert_eq!(
        numbers,
        (6..=25).collect::<Vec<_>>(),
        "1 to 3 are deleted, 4 and 5 still leased"
    );
    assert!(bodies.iter().all(|body| &body[..] == b"durable"));
}

#[test]
fn a_host_restarted_from_a_checkpoint_is_as_those_that_went_on() {
    let mut rig = trio();
    for _ in 0..40 {
        rig.send(A, "some body").unwrap();
    }
    rig.run_for(61_000_000);
    for _ in 0..5 {
        rig.send(B, "later").unwrap();
    }
    rig.run_for(1_000_000);
    rig.kill(A);
    rig.run_for(600_000);
    rig.start(A);
    rig.run_until(|rig| rig.acting().len() == 3);
    rig.run_for(1_000_000);
    assert_eq!(
        rig.core(A).machine().full_hash(),
        rig.core(B).machine().full_hash()
    );
    let (_, bodies) = rig
        .execute_with_bodies(A, receive(100, None), vec![])
        .unwrap();
    assert_eq!(bodies.iter().filter(|b| &b[..] == b"some body").count(), 40);
}

#[test]
fn a_minority_refuses_and_says_that_nothing_was_applied() {
    let mut rig = trio();
    rig.kill(B);
    rig.kill(C);
    rig.run_for(2_000_000);
    let refusal = rig.execute(A, send_of("x"), vec!["x".into()]).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotReady);
}

#[test]
fn one_host_alone_is_a_cluster_too() {
    let mut rig = Rig::with_queue(1, QueueSettings::default());
    assert_eq!(sequence_of(rig.send(A, "x").unwrap()), 1);
    rig.power_off();
    rig.start(A);
    rig.run_until(|rig| rig.acting().len() == 1);
    assert_eq!(sequence_of(rig.send(A, "y").unwrap()), 2);
}

#[test]
fn a_host_that_is_added_has_every_message_and_one_that_is_removed_says_so() {
    let mut rig = trio();
    for body in ["a", "b", "c"] {
        rig.send(A, body).unwrap();
    }
    rig.add_host(D);
    assert_eq!(rig.core(D).state(), HostState::Unassigned);
    let mut spec = rig.spec();
    spec.revision = Revision(3);
    let learn = HostRequest::Learn { spec: spec.clone() };
    assert_eq!(rig.ask(D, learn.clone()), Ok(HostReply::Learning));
    assert_eq!(rig.core(D).state(), HostState::Learning);
    let add = HostRequest::ChangeMembers { spec: spec.clone() };
    assert_eq!(rig.ask(B, add.clone()), Ok(HostReply::MembersChanged));
    rig.run_until(|rig| rig.acting().len() == 4);
    let hash = |rig: &Rig, host| rig.core(host).machine().state_hash();
    assert_eq!(rig.core(D).machine().totals(), (3, 3));
    assert_eq!(hash(&rig, D), hash(&rig, A));
    assert_eq!(sequence_of(rig.send(D, "d").unwrap()), 4);
    // Again, at another host.
    assert_eq!(rig.ask(C, add.clone()), Ok(HostReply::MembersChanged));
    assert_eq!(rig.ask(D, learn), Ok(HostReply::Learning));

    spec.members.remove(0);
    let refusal = rig.ask(B, HostRequest::ChangeMembers { spec: spec.clone() });
    assert_eq!(
        refusal.unwrap_err().code,
        ErrorCode::Fenced,
        "same revision"
    );
    spec.revision = Revision(4);
    let remove = HostRequest::ChangeMembers { spec };
    assert_eq!(rig.ask(A, remove), Ok(HostReply::MembersChanged));
    assert_eq!(rig.core(A).state(), HostState::Removed);
    let refusal = rig.send(A, "e").unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotReady);
    rig.run_until(|rig| rig.acting().len() == 3);
    assert_eq!(sequence_of(rig.send(B, "e").unwrap()), 5);
    let refusal = rig.ask(B, add).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Fenced, "an old order");
    assert!(!refusal.code.retryable());

    // All of it is on disk.
    rig.power_off();
    for host in [A, B, C, D] {
        rig.start(host);
    }
    assert_eq!(rig.core(A).state(), HostState::Removed);
    rig.run_until(|rig| rig.acting().len() == 3);
    assert_eq!(sequence_of(rig.send(D, "f").unwrap()), 6);
}

#[test]
fn a_host_that_cannot_be_reached_is_not_added_and_the_order_is_refused_in_the_end() {
    let mut rig = trio();
    rig.add_host(D);
    let mut spec = rig.spec();
    spec.revision = Revision(3);
    rig.kill(D);
    let refusal = rig.ask(A, HostRequest::ChangeMembers { spec }).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotReady);
    assert!(refusal.code.retryable());
    assert_eq!(rig.acting().len(), 3);
    rig.send(A, "x").unwrap();
}
