//! What nobody consumes from a sealed partition goes on to its heir, bodies included.

use bytes::Bytes;
use shoal_types::{
    ClusterMember, Command, Epoch, GroupRange, Heir, HostId, Outcome, PartitionId, QueueSettings,
    Revision, SendItem, SuccessionStage, Successor,
};

use super::rig::{CLUSTER, QUEUE, Rig};
use super::{A, B, C, deliveries};

const NEXT: PartitionId = PartitionId(8);
const HEIR: PartitionId = PartitionId(9);

fn settings() -> QueueSettings {
    QueueSettings {
        fifo: true,
        ..QueueSettings::default()
    }
}

fn members(rig: &Rig) -> Vec<ClusterMember> {
    let member = |host| ClusterMember {
        host,
        address: format!("{host}:1"),
    };
    rig.hosts().into_iter().map(member).collect()
}

/// A FIFO queue with so many messages of three groups, which was moved.
fn moved_queue(messages: u32) -> Rig {
    let mut rig = Rig::with_movable_queue(3, settings());
    for n in 0..messages {
        let body = body(n);
        let item = SendItem {
            size: body.len() as u32,
            crc: crc32c::crc32c(&body),
            delay: None,
            ttl: None,
            group: Some(["a", "b", "c"][n as usize % 3].into()),
            deduplication: None,
        };
        let send = Command::Send {
            partition: QUEUE,
            items: vec![item],
        };
        let sent = rig.execute(A, send, vec![body]);
        assert!(matches!(sent, Ok(Outcome::Sent(_))), "{sent:?}");
    }
    let create = Command::CreateSuccessor {
        partition: NEXT,
        settings: settings().partition(Epoch(1)),
        revision: Revision(3),
        succeeds: vec![QUEUE],
    };
    assert_eq!(rig.execute(A, create, vec![]), Ok(Outcome::Done));
    let next = Successor {
        partition: NEXT,
        epoch: Epoch(1),
        cluster: CLUSTER,
        members: members(&rig),
        groups: GroupRange::ALL,
    };
    let seal = Command::Seal {
        partition: QUEUE,
        successors: vec![next],
        revision: Revision(4),
    };
    let sealed = rig.execute(B, seal, vec![]);
    let Ok(Outcome::Sealed(seal)) = sealed else {
        panic!("{sealed:?}")
    };
    let create = Command::CreateHeir {
        partition: HEIR,
        settings: settings().partition(Epoch(0)),
        revision: Revision(5),
        source: QUEUE,
        seal,
    };
    assert_eq!(rig.execute(C, create, vec![]), Ok(Outcome::Done));
    rig
}

fn body(n: u32) -> Bytes {
    Bytes::from(format!("message {n}").repeat(1 + n as usize % 7))
}

fn forward(rig: &mut Rig) {
    let forward = Command::Forward {
        partition: QUEUE,
        heir: Heir {
            partition: HEIR,
            cluster: CLUSTER,
            members: members(rig),
        },
        revision: Revision(5),
    };
    let host = rig.acting()[0];
    assert_eq!(rig.execute(host, forward, vec![]), Ok(Outcome::Done));
}

fn is_complete(rig: &Rig) -> bool {
    rig.acting().iter().all(|host| {
        let known = rig.core(*host).machine().succession(QUEUE);
        let stage = known.expect("it is there").stage;
        matches!(stage, SuccessionStage::Forwarding { complete: true, .. })
    })
}

/// Receives and deletes all there is at the heir, and looks at each message.
#[track_caller]
fn consume(rig: &mut Rig, messages: u32) {
    let mut received = 0;
    while received < messages {
        let receive = Command::Receive {
            partition: HEIR,
            max: 100,
            visibility: None,
            wait_until: None,
            attempt: None,
            auto_ack: true,
        };
        let host = rig.acting()[0];
        let (received_now, bodies) = rig.execute_with_bodies(host, receive, vec![]).unwrap();
        let deliveries = deliveries(received_now);
        assert!(!deliveries.is_empty(), "{received} of {messages}");
        for (delivery, bytes) in deliveries.iter().zip(bodies) {
            received += 1;
            assert_eq!(
                delivery.sequence.number(),
                u64::from(received),
                "in order, each once"
            );
            assert_eq!(bytes, body(received - 1));
        }
    }
}

#[test]
fn every_message_is_received_from_the_heir_once_and_in_order() {
    let mut rig = moved_queue(50);
    forward(&mut rig);
    rig.run_until(is_complete);
    rig.states_agree();
    consume(&mut rig, 50);
    // Then the heir tells the successor, and nobody needs either of them any more.
    rig.run_until(|rig| {
        let told = rig.core(A).machine().seal_of(HEIR);
        told.is_some_and(|(_, told)| told == [NEXT])
    });
    let calls = rig.carried_by().len();
    rig.run_for(5_000_000);
    assert_eq!(rig.carried_by().len(), calls, "nothing is left to carry");
}

#[test]
fn a_piece_whose_answer_is_lost_comes_again_and_is_taken_once() {
    let mut rig = moved_queue(20);
    rig.lose_answers_of_heirs(3);
    forward(&mut rig);
    rig.run_until(is_complete);
    assert!(rig.carried_by().len() >= 4);
    consume(&mut rig, 20);
}

#[test]
fn another_host_goes_on_where_the_one_that_carried_dies() {
    let mut rig = moved_queue(20);
    // It never hears that the heir has the piece.
    rig.lose_answers_of_heirs(1_000);
    forward(&mut rig);
    rig.run_until(|rig| !rig.carried_by().is_empty());
    let by = rig.carried_by()[0];
    rig.kill(by);
    rig.lose_answers_of_heirs(0);
    rig.run_until(|rig| rig.acting().len() == 2 && is_complete(rig));
    assert!(rig.carried_by().iter().any(|host| *host != by));
    rig.start(by);
    rig.run_until(|rig| rig.acting().len() == 3);
    rig.states_agree();
    consume(&mut rig, 20);
}

#[test]
fn after_a_power_failure_it_goes_on() {
    let mut rig = moved_queue(20);
    rig.lose_answers_of_heirs(1_000);
    forward(&mut rig);
    rig.run_until(|rig| !rig.carried_by().is_empty());
    rig.power_off();
    rig.lose_answers_of_heirs(0);
    for host in [A, B, C] {
        rig.start(host);
    }
    rig.run_until(|rig| rig.acting().len() == 3 && is_complete(rig));
    rig.states_agree();
    consume(&mut rig, 20);
}

#[test]
fn what_an_heir_that_is_deleted_did_not_take_stays() {
    let mut rig = moved_queue(6);
    let delete = Command::DeletePartition {
        partition: HEIR,
        revision: Revision(6),
    };
    assert_eq!(rig.execute(A, delete, vec![]), Ok(Outcome::Done));
    forward(&mut rig);
    rig.run_until(|rig| {
        let known = rig.core(A).machine().succession(QUEUE);
        let stage = known.expect("it is there").stage;
        let ready = rig
            .core(A)
            .machine()
            .counts(QUEUE)
            .map(|counts| counts.ready);
        matches!(stage, SuccessionStage::Sealed { .. })
            && !rig.carried_by().is_empty()
            && ready == Some(6)
    });
}

/// From here on bodies are read from the hosts' logs: later ones, of 17 MiB, are what is in memory.
fn forget_recent_bodies(rig: &mut Rig) {
    let partition = PartitionId(20);
    let create = Command::CreatePartition {
        partition,
        settings: QueueSettings::default().partition(Epoch(0)),
        revision: Revision(6),
    };
    assert_eq!(rig.execute(A, create, vec![]), Ok(Outcome::Done));
    for _ in 0..17 {
        let body = Bytes::from(vec![7; 1 << 20]);
        let item = SendItem {
            size: body.len() as u32,
            crc: crc32c::crc32c(&body),
            delay: None,
            ttl: None,
            group: None,
            deduplication: None,
        };
        let send = Command::Send {
            partition,
            items: vec![item],
        };
        let sent = rig.execute(A, send, vec![body]);
        assert!(matches!(sent, Ok(Outcome::Sent(_))), "{sent:?}");
    }
}

/// Nobody heard of it: it was tried again for ever, and nothing went on.
#[test]
fn a_body_that_no_host_can_read_stops_what_goes_on_and_that_is_said() {
    let mut rig = moved_queue(20);
    forget_recent_bodies(&mut rig);
    for host in [A, B, C] {
        rig.damage_a_body(host);
    }
    forward(&mut rig);
    let stopped = |rig: &Rig| -> usize {
        let stopped = |host: &HostId| rig.core(*host).forwardings_stopped();
        rig.hosts().iter().map(stopped).sum()
    };
    rig.run_for(20_000_000);
    assert_eq!(stopped(&rig), 0, "a host may be back in a moment");
    rig.run_for(120_000_000);
    assert!(stopped(&rig) > 0);
    let arrived = rig.core(A).machine().counts(HEIR).unwrap();
    assert_eq!(arrived.ready, 0, "nothing overtakes what stands still");
    // Whoever gives the messages up says so.
    let purge = Command::Purge { partition: QUEUE };
    let purged = rig.execute(A, purge, vec![]);
    assert!(
        matches!(purged, Ok(Outcome::PurgedBut { heir: Some(_), .. })),
        "{purged:?}"
    );
    rig.run_until(is_complete);
    rig.run_for(1_000_000);
    assert_eq!(stopped(&rig), 0);
}

#[test]
fn a_body_that_one_host_cannot_read_is_read_by_another_one() {
    let mut rig = moved_queue(20);
    forget_recent_bodies(&mut rig);
    rig.damage_a_body(A);
    rig.damage_a_body(B);
    forward(&mut rig);
    rig.run_until(is_complete);
    consume(&mut rig, 20);
}
