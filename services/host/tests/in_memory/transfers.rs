//! Dead letters, and what a task moves, go to other queues, bodies included.

use bytes::Bytes;
use shoal_types::{
    ClusterMember, Command, DeadLetters, Delivery, Epoch, GroupRange, HostId, HostReply, Inherited,
    MoveStatus, MoveTask, MoveTo, Outbox, Outcome, PartitionId, Query, QueryReply, QueueId,
    QueueSettings, Receipt, Revision, SendItem, Successor, Target, TargetPart,
};

use super::rig::{CLUSTER, QUEUE, Rig};
use super::{A, B, C, deliveries};

const DEAD: PartitionId = PartitionId(9);
const NEXT: PartitionId = PartitionId(10);
const ORDERS: QueueId = QueueId(1);
const DEAD_ORDERS: QueueId = QueueId(2);

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

fn target(rig: &Rig, queue: QueueId, partition: PartitionId) -> Target {
    Target {
        queue,
        parts: vec![TargetPart {
            partition,
            cluster: CLUSTER,
            members: members(rig),
            groups: GroupRange::ALL,
        }],
    }
}

fn body(n: u32) -> Bytes {
    Bytes::from(format!("message {n}").repeat(1 + n as usize % 7))
}

/// A FIFO queue with so many messages of three groups, which die after one receive.
fn dying_queue(messages: u32) -> Rig {
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
    let create = Command::CreatePartition {
        partition: DEAD,
        settings: settings().partition(Epoch(0)),
        revision: Revision(3),
    };
    assert_eq!(rig.execute(B, create, vec![]), Ok(Outcome::Done));
    set_dead_letters(&mut rig, DEAD, 4);
    rig
}

fn set_dead_letters(rig: &mut Rig, partition: PartitionId, revision: u64) {
    let dead_letters = DeadLetters {
        queue: ORDERS,
        max_receives: 1,
        to: target(rig, DEAD_ORDERS, partition),
    };
    let set = Command::SetDeadLetters {
        partition: QUEUE,
        dead_letters: Some(Box::new(dead_letters)),
        revision: Revision(revision),
    };
    let host = rig.acting()[0];
    assert_eq!(rig.execute(host, set, vec![]), Ok(Outcome::Done));
}

/// All messages are received and given back.
fn fail_all(rig: &mut Rig, messages: u32) {
    let mut failed = 0;
    while failed < messages {
        let receipts: Vec<Receipt> = receive(rig, QUEUE).0.iter().map(|d| d.receipt).collect();
        assert!(!receipts.is_empty(), "{failed} of {messages}");
        failed += receipts.len() as u32;
        let host = rig.acting()[0];
        let release = Command::Release {
            partition: QUEUE,
            receipts,
            delay: 0,
        };
        let released = rig.execute(host, release, vec![]);
        assert!(matches!(released, Ok(Outcome::Receipts(_))), "{released:?}");
    }
}

fn receive(rig: &mut Rig, partition: PartitionId) -> (Vec<Delivery>, Vec<Bytes>) {
    let receive = Command::Receive {
        partition,
        max: 100,
        visibility: None,
        wait_until: None,
        attempt: None,
        auto_ack: false,
    };
    let host = rig.acting()[0];
    let (received, bodies) = rig.execute_with_bodies(host, receive, vec![]).unwrap();
    (deliveries(received), bodies)
}

fn outbox(rig: &mut Rig, host: HostId) -> Outbox {
    let query = rig.query(Query::Outbox { partition: QUEUE });
    match rig.ask(host, query) {
        Ok(HostReply::Query(QueryReply::Outbox(outbox))) => *outbox,
        other => panic!("{other:?}"),
    }
}

/// Everything has gone, and everybody knows.
fn is_settled(rig: &Rig) -> bool {
    rig.acting().iter().all(|host| {
        let machine = rig.core(*host).machine();
        machine.senders().next().is_none() && machine.parcels_made(QUEUE) > 0
    })
}

/// Receives and deletes all there is, and looks at each message.
#[track_caller]
fn consume(rig: &mut Rig, partition: PartitionId, messages: u32) {
    let mut numbers = Vec::new();
    loop {
        let (received, bodies) = receive(rig, partition);
        if received.is_empty() {
            break;
        }
        for (delivery, bytes) in received.iter().zip(bodies) {
            let died = delivery.dead_from.as_ref().expect("it died");
            assert_eq!((died.queue, died.receives), (ORDERS, 1));
            let number = died.message.sequence.number();
            assert_eq!(bytes, body(number as u32 - 1));
            numbers.push(number);
        }
        let receipts = received.iter().map(|delivery| delivery.receipt).collect();
        let host = rig.acting()[0];
        let acknowledge = Command::Acknowledge {
            partition,
            receipts,
        };
        rig.execute(host, acknowledge, vec![]).unwrap();
    }
    let of_group = |group| numbers.iter().filter(move |n| **n % 3 == group);
    for group in 0..3 {
        assert!(of_group(group).is_sorted(), "in order: {numbers:?}");
    }
    numbers.sort_unstable();
    let all: Vec<u64> = (1..=u64::from(messages)).collect();
    assert_eq!(numbers, all, "each once");
}

#[test]
fn every_dead_letter_is_received_once_and_in_order() {
    let mut rig = dying_queue(50);
    fail_all(&mut rig, 50);
    rig.run_until(is_settled);
    rig.states_agree();
    let known = outbox(&mut rig, C);
    assert_eq!((known.dead, known.delivered), (0, 50));
    consume(&mut rig, DEAD, 50);
    let calls = rig.carried_by().len();
    rig.run_for(5_000_000);
    assert_eq!(rig.carried_by().len(), calls, "nothing is left to carry");
}

#[test]
fn a_parcel_whose_answer_is_lost_comes_again_and_is_taken_once() {
    let mut rig = dying_queue(20);
    rig.lose_answers_of_heirs(3);
    fail_all(&mut rig, 20);
    rig.run_until(is_settled);
    consume(&mut rig, DEAD, 20);
}

#[test]
fn another_host_goes_on_where_the_one_that_carried_a_parcel_dies() {
    let mut rig = dying_queue(20);
    // It never hears that the dead-letter queue has the parcel.
    rig.lose_answers_of_heirs(1_000);
    fail_all(&mut rig, 20);
    rig.run_until(|rig| !rig.carried_by().is_empty());
    let by = rig.carried_by()[0];
    rig.kill(by);
    rig.lose_answers_of_heirs(0);
    rig.run_until(|rig| rig.acting().len() == 2 && is_settled(rig));
    rig.start(by);
    rig.run_until(|rig| rig.acting().len() == 3);
    rig.states_agree();
    consume(&mut rig, DEAD, 20);
}

#[test]
fn after_a_power_failure_the_dead_go_on() {
    let mut rig = dying_queue(20);
    rig.lose_answers_of_heirs(1_000);
    fail_all(&mut rig, 20);
    rig.run_until(|rig| !rig.carried_by().is_empty());
    rig.power_off();
    rig.lose_answers_of_heirs(0);
    for host in [A, B, C] {
        rig.start(host);
    }
    rig.run_until(|rig| rig.acting().len() == 3 && is_settled(rig));
    rig.states_agree();
    consume(&mut rig, DEAD, 20);
}

#[test]
fn the_dead_follow_a_dead_letter_queue_that_moved() {
    let mut rig = dying_queue(20);
    let create = Command::CreateSuccessor {
        partition: NEXT,
        settings: settings().partition(Epoch(1)),
        revision: Revision(5),
        succeeds: vec![DEAD],
    };
    assert_eq!(rig.execute(A, create, vec![]), Ok(Outcome::Done));
    let seal = Command::Seal {
        partition: DEAD,
        successors: vec![Successor {
            partition: NEXT,
            epoch: Epoch(1),
            cluster: CLUSTER,
            members: members(&rig),
            groups: GroupRange::ALL,
        }],
        revision: Revision(6),
    };
    let Ok(Outcome::Sealed(seal)) = rig.execute(B, seal, vec![]) else {
        panic!("it is sealed")
    };
    fail_all(&mut rig, 20);
    let told = Command::Succeed {
        partition: NEXT,
        seal,
        news: Inherited::Seal,
    };
    assert_eq!(rig.execute(C, told, vec![]), Ok(Outcome::Done));
    rig.run_until(is_settled);
    rig.states_agree();
    consume(&mut rig, NEXT, 20);
}

#[test]
fn if_the_dead_letter_queue_is_deleted_the_dead_live_and_go_to_the_next_one_that_is_named() {
    let mut rig = dying_queue(6);
    let delete = Command::DeletePartition {
        partition: DEAD,
        revision: Revision(5),
    };
    assert_eq!(rig.execute(A, delete, vec![]), Ok(Outcome::Done));
    fail_all(&mut rig, 6);
    rig.run_until(|rig| {
        let machine = rig.core(A).machine();
        let known = machine.outbox(QUEUE).expect("it is there");
        known.target_gone
            && machine
                .counts(QUEUE)
                .is_some_and(|counts| counts.ready == 6)
    });
    let create = Command::CreatePartition {
        partition: NEXT,
        settings: settings().partition(Epoch(0)),
        revision: Revision(6),
    };
    assert_eq!(rig.execute(A, create, vec![]), Ok(Outcome::Done));
    set_dead_letters(&mut rig, NEXT, 7);
    rig.run_until(is_settled);
    consume(&mut rig, NEXT, 6);
}

#[test]
fn a_task_brings_dead_letters_back_at_its_rate() {
    let mut rig = dying_queue(12);
    fail_all(&mut rig, 12);
    rig.run_until(is_settled);
    let origins = vec![target(&rig, ORDERS, QUEUE)];
    let start = Command::StartMove {
        partition: DEAD,
        task: Box::new(MoveTask {
            task: 1,
            to: MoveTo::Origins(origins),
            per_second: Some(4),
        }),
        revision: Revision(9),
    };
    assert_eq!(rig.execute(B, start, vec![]), Ok(Outcome::Done));
    let task = |rig: &Rig| {
        let known = rig.core(A).machine().outbox(DEAD).expect("it is there");
        known.task.expect("it has a task")
    };
    rig.run_for(1_500_000);
    let moved = task(&rig).moved;
    assert!(
        (1..=8).contains(&moved),
        "{moved} after a second and a half"
    );
    rig.run_until(|rig| task(rig).status == MoveStatus::Completed);
    assert_eq!((task(&rig).moved, task(&rig).failed), (12, 0));
    let (back, bodies) = receive(&mut rig, QUEUE);
    assert_eq!(back.len(), 12);
    assert!(
        back.iter()
            .all(|one| one.dead_from.is_none() && one.receive_count == 1)
    );
    let mut bodies = bodies;
    bodies.sort();
    let mut all: Vec<Bytes> = (0..12).map(body).collect();
    all.sort();
    assert_eq!(bodies, all);
}
