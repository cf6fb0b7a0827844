//! Goal: whatever two hosts know differently of what goes to other queues and comes from there, their hashes
//! tell.

use shoal_types::{
    BodyRef, ClusterId, ClusterMember, Command, DeadFrom, DeadLetters, Epoch, GroupRange, HostId,
    MachineVersion, MessageId, MoveTask, MoveTo, Outcome, Parcel, Parceled, PartitionId,
    PartitionSettings, QueueId, Receipt, Revision, SendItem, Sequence, Target, TargetPart, Ts,
};

use crate::hash::StateHash;
use crate::hash_covers_everything::{QUEUE, SECOND, all_differ, at, request};
use crate::machine::Machine;

const DEAD: PartitionId = PartitionId(8);

fn target(partition: u64) -> Target {
    Target {
        queue: QueueId(2),
        parts: vec![TargetPart {
            partition: PartitionId(partition),
            cluster: ClusterId(1),
            members: vec![ClusterMember {
                host: HostId(1),
                address: "a:1".to_owned(),
            }],
            groups: GroupRange::ALL,
        }],
    }
}

fn dies(queue: u64, max_receives: u16, to: Target, revision: u64) -> Command {
    Command::SetDeadLetters {
        partition: QUEUE,
        dead_letters: Some(Box::new(DeadLetters {
            queue: QueueId(queue),
            max_receives,
            to,
        })),
        revision: Revision(revision),
    }
}

/// Two messages; one of them was received.
fn machine() -> Machine {
    let mut machine = Machine::new();
    machine.begin_entry(at(100), &mut Vec::new());
    let item = |size| SendItem {
        size,
        crc: 1,
        delay: None,
        ttl: None,
        group: None,
        deduplication: None,
    };
    let create = |partition| Command::CreatePartition {
        partition,
        settings: PartitionSettings {
            epoch: Epoch(0),
            fifo: false,
            visibility: 30 * SECOND,
            delay: 0,
            retention: 3_600 * SECOND,
            max_messages: 100,
            max_bytes: 1_000,
        },
        revision: Revision(1),
    };
    let commands = [
        Command::RaiseVersion {
            to: MachineVersion(3),
        },
        create(QUEUE),
        create(DEAD),
        Command::Send {
            partition: QUEUE,
            items: vec![item(1), item(2)],
        },
        Command::Receive {
            partition: QUEUE,
            max: 1,
            visibility: None,
            wait_until: None,
            attempt: None,
            auto_ack: false,
        },
    ];
    for (id, command) in (1..).zip(commands) {
        let bodies = vec![BodyRef::default(); command.bodies().count()];
        machine.apply(&request(id, command), &bodies, &mut Vec::new());
    }
    machine
}

/// What is known of transfers is in the full hash, and the rolling one is over what brought it there.
#[test]
fn each_part_of_a_transfer_counts() {
    let plain = || dies(1, 1, target(9), 5);
    let release = || Command::Release {
        partition: QUEUE,
        receipts: vec![Receipt {
            partition: QUEUE,
            sequence: Sequence(1),
            lease: 1,
        }],
        delay: 0,
    };
    let next = |taken| Command::NextParcel {
        partition: QUEUE,
        taken,
    };
    let back = Command::ReturnParcel {
        partition: QUEUE,
        parcel: 1,
    };
    let start = |task, partition, per_second| Command::StartMove {
        partition: QUEUE,
        task: Box::new(MoveTask {
            task,
            to: MoveTo::One(target(partition)),
            per_second,
        }),
        revision: Revision(5),
    };
    let cancel = Command::CancelMove {
        partition: QUEUE,
        task: 1,
        revision: Revision(6),
    };
    let moved = |address: &str| {
        let mut to = target(9);
        to.parts[0].members[0].address = address.to_owned();
        to
    };
    let stories = [
        vec![],
        vec![release()],
        vec![plain()],
        vec![dies(3, 1, target(9), 5)],
        vec![dies(1, 2, target(9), 5)],
        vec![dies(1, 1, target(10), 5)],
        vec![dies(1, 1, moved("b:1"), 5)],
        vec![dies(1, 1, target(9), 6)],
        vec![plain(), release()],
        vec![plain(), release(), next(0)],
        vec![plain(), release(), next(0), back],
        vec![plain(), release(), next(0), next(1)],
        vec![plain(), release(), next(0), next(1), next(2)],
        vec![start(1, 9, None)],
        vec![start(2, 9, None)],
        vec![start(1, 10, None)],
        vec![start(1, 9, Some(1))],
        vec![start(1, 9, None), cancel],
        vec![start(1, 9, None), next(0)],
        vec![start(1, 9, None), next(0), next(1)],
    ];
    stories_all_differ(&stories);
}

#[test]
fn each_part_of_what_arrived_counts() {
    let take = |from, number, dead_from: Option<DeadFrom>| Command::TakeParcel {
        partition: DEAD,
        from: PartitionId(from),
        parcel: Parcel {
            number,
            messages: vec![Parceled {
                sent_at: Ts(90 * SECOND),
                size: 1,
                crc: 1,
                group: None,
                expires: None,
                dead_from: dead_from.map(Box::new),
            }],
        },
    };
    let settle = |number| Command::TakeParcel {
        partition: DEAD,
        from: PartitionId(9),
        parcel: Parcel {
            number,
            messages: Vec::new(),
        },
    };
    let died = |queue, message, receives| DeadFrom {
        queue: QueueId(queue),
        message: MessageId {
            partition: PartitionId(9),
            sequence: Sequence(message),
        },
        receives,
    };
    let stories = [
        vec![],
        vec![take(9, 1, None)],
        vec![take(10, 1, None)],
        vec![take(9, 2, None)],
        vec![take(9, 1, Some(died(1, 1, 1)))],
        vec![take(9, 1, Some(died(2, 1, 1)))],
        vec![take(9, 1, Some(died(1, 2, 1)))],
        vec![take(9, 1, Some(died(1, 1, 2)))],
        vec![take(9, 1, None), settle(2)],
        vec![take(9, 1, None), settle(3)],
    ];
    stories_all_differ(&stories);
}

fn stories_all_differ(stories: &[Vec<Command>]) {
    let play = |story: &Vec<Command>| {
        let mut machine = machine();
        for (id, command) in (10..).zip(story) {
            let request = request(id, command.clone());
            let bodies = vec![BodyRef::default(); command.bodies().count()];
            let outcome = machine.apply(&request, &bodies, &mut Vec::new());
            assert!(!matches!(outcome, Outcome::Refused(_)), "{outcome:?}");
        }
        machine
    };
    all_differ(stories, |story| play(story).state_hash());
    all_differ(stories, |story| {
        let mut machine = play(story);
        // The state alone, whatever brought it about.
        machine.hash = StateHash::default();
        machine.remembered = Default::default();
        machine.full_hash()
    });
}
