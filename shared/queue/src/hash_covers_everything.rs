//! Goal: whatever two hosts do differently, their state hashes tell. Method: two machines that differ
//! in one thing only, once for each thing that the hash is over.

use shoal_types::{
    Applied, Command, DeadFrom, Delivery, Description, Epoch, ErrorCode, Heir, HostId, Incarnation,
    LeaseChange, MachineVersion, MessageId, Origin, Outcome, PartitionId, PartitionSettings,
    Position, QueueId, Receipt, ReceiptResult, Refusal, Request, RequestId, Revision, Seal,
    SendItem, SendResult, Sequence, Ts, ViewNumber,
};

use crate::hash::StateHash;
use crate::hash_covers_succession::{heirs, seals};
use crate::machine::Machine;

pub(crate) const QUEUE: PartitionId = PartitionId(7);
pub(crate) const SECOND: u64 = 1_000_000;

pub(crate) fn at(seconds: u64) -> Position {
    Position {
        view: ViewNumber(1),
        ts: Ts(seconds * SECOND),
        lane: HostId(1),
    }
}

pub(crate) fn request(id: u128, command: Command) -> Request {
    Request {
        id: RequestId(id),
        deadline: Ts(1_000 * SECOND),
        origin: Origin::default(),
        command,
    }
}

fn receive(id: u128, wait_until: Option<Ts>) -> Request {
    let command = Command::Receive {
        partition: QUEUE,
        max: 1,
        visibility: Some(10 * SECOND),
        wait_until,
        attempt: None,
        auto_ack: false,
    };
    request(id, command)
}

/// A queue with one message.
fn machine() -> Machine {
    let mut machine = Machine::new();
    machine.begin_entry(at(100), &mut Vec::new());
    let settings = PartitionSettings {
        epoch: Epoch(0),
        fifo: false,
        visibility: 30 * SECOND,
        delay: 0,
        retention: 3_600 * SECOND,
        max_messages: 100,
        max_bytes: 1_000,
    };
    let create = Command::CreatePartition {
        partition: QUEUE,
        settings,
        revision: Revision(1),
    };
    machine.apply(&request(1, create), &[], &mut Vec::new());
    let item = SendItem {
        size: 5,
        crc: 77,
        delay: None,
        ttl: None,
        group: None,
        deduplication: None,
    };
    let send = Command::Send {
        partition: QUEUE,
        items: vec![item],
    };
    machine.apply(&request(2, send), &[Default::default()], &mut Vec::new());
    machine
}

/// The same after its memory was changed behind its back.
fn damaged(mut machine: Machine) -> Machine {
    let before = machine.state_hash();
    machine.on_partition(QUEUE, &mut Vec::new(), |partition, _| {
        partition.contents.slots.edit(1, |chunk, offset| {
            chunk.slot_mut(offset).expect("it was sent").crc ^= 1;
        });
    });
    assert_eq!(machine.state_hash(), before, "nothing was executed");
    machine
}

/// The hash after this was done to a sound and to a damaged machine.
fn sound_and_damaged(prepare: impl Fn(&mut Machine), act: impl Fn(&mut Machine)) -> [u64; 2] {
    let prepared = || {
        let mut machine = machine();
        prepare(&mut machine);
        machine
    };
    [prepared(), damaged(prepared())].map(|mut machine| {
        act(&mut machine);
        machine.state_hash()
    })
}

#[test]
fn another_outcome_is_another_hash() {
    let [sound, damaged] = sound_and_damaged(
        |_| (),
        |machine| {
            machine.apply(&receive(3, None), &[], &mut Vec::new());
        },
    );
    assert_ne!(sound, damaged);
}

/// The message is leased, and another receive waits for it.
fn somebody_waits(machine: &mut Machine) {
    machine.apply(&receive(3, None), &[], &mut Vec::new());
    machine.apply(&receive(4, Some(Ts(500 * SECOND))), &[], &mut Vec::new());
}

#[test]
fn what_a_command_gives_to_another_receive_is_in_the_hash() {
    let release = Command::Release {
        partition: QUEUE,
        receipts: vec![Receipt {
            partition: QUEUE,
            sequence: Sequence(1),
            lease: 1,
        }],
        delay: 0,
    };
    let [sound, damaged] = sound_and_damaged(somebody_waits, |machine| {
        let mut effects = Vec::new();
        let outcome = machine.apply(&request(5, release.clone()), &[], &mut effects);
        let done = Outcome::Receipts(vec![ReceiptResult::Done]);
        assert_eq!((outcome, effects.len()), (done, 1));
    });
    assert_ne!(sound, damaged);
}

#[test]
fn what_time_gives_to_a_receive_is_in_the_hash() {
    let [sound, damaged] = sound_and_damaged(somebody_waits, |machine| {
        let mut effects = Vec::new();
        machine.begin_entry(at(200), &mut effects);
        assert_eq!(effects.len(), 1);
    });
    assert_ne!(sound, damaged);
}

/// That all of these lead to hashes of their own.
pub(crate) fn all_differ<T>(things: &[T], hash: impl Fn(&T) -> u64) {
    let hashes: Vec<u64> = things.iter().map(hash).collect();
    for (i, one) in hashes.iter().enumerate() {
        for (k, other) in hashes.iter().enumerate().take(i) {
            assert_ne!(one, other, "numbers {k} and {i} hash alike");
        }
    }
}

#[test]
fn each_part_of_a_position_counts_and_so_does_the_version() {
    let base = at(200);
    let positions = [
        base,
        Position {
            view: ViewNumber(2),
            ..base
        },
        Position {
            ts: Ts(base.ts.0 + 1),
            ..base
        },
        Position {
            lane: HostId(2),
            ..base
        },
    ];
    all_differ(&positions, |position| {
        let mut machine = machine();
        machine.begin_entry(*position, &mut Vec::new());
        machine.state_hash()
    });
    let versions = [1, 2].map(MachineVersion);
    all_differ(&versions, |version| {
        let mut machine = Machine::supporting(*version..=MachineVersion(2));
        machine.begin_entry(base, &mut Vec::new());
        machine.state_hash()
    });
}

#[test]
fn each_part_of_a_request_counts_even_if_the_outcome_is_the_same() {
    let base = request(9, Command::Tick);
    let host = Origin {
        host: HostId(1),
        incarnation: Incarnation(0),
    };
    let incarnation = Origin {
        host: HostId(0),
        incarnation: Incarnation(1),
    };
    let requests = [
        base.clone(),
        request(10, Command::Tick),
        request(9, Command::Purge { partition: QUEUE }),
        Request {
            deadline: Ts(999 * SECOND),
            ..base.clone()
        },
        Request {
            origin: host,
            ..base.clone()
        },
        Request {
            origin: incarnation,
            ..base.clone()
        },
    ];
    all_differ(&requests, |request| {
        let mut machine = machine();
        let outcome = machine.apply(request, &[], &mut Vec::new());
        assert_eq!(outcome, Outcome::Done);
        machine.state_hash()
    });
    let change = |lease, visibility| {
        let receipt = Receipt {
            partition: QUEUE,
            sequence: Sequence(1),
            lease,
        };
        let changes = vec![LeaseChange {
            receipt,
            visibility,
        }];
        let partition = QUEUE;
        request(9, Command::ChangeVisibility { partition, changes })
    };
    all_differ(&[change(8, 1), change(9, 1), change(8, 2)], |request| {
        let mut machine = machine();
        machine.apply(request, &[], &mut Vec::new());
        machine.state_hash()
    });
}

#[test]
fn a_view_counts_with_its_number_and_its_writers() {
    let origins = |n: u64| -> Vec<Origin> {
        let origin = |host| Origin {
            host: HostId(host),
            incarnation: Incarnation(1),
        };
        (1..=n).map(origin).collect()
    };
    let views = [(2, origins(2)), (3, origins(2)), (2, origins(1))];
    all_differ(&views, |(number, origins)| {
        let mut machine = machine();
        machine.view_installed(ViewNumber(*number), origins, &mut Vec::new());
        machine.state_hash()
    });
}

fn delivery() -> Delivery {
    Delivery {
        sequence: Sequence(1),
        receipt: Receipt {
            partition: QUEUE,
            sequence: Sequence(1),
            lease: 1,
        },
        sent_at: Ts(10),
        first_received_at: Ts(20),
        receive_count: 1,
        group: None,
        dead_from: None,
        size: 5,
        crc: 6,
        body: Default::default(),
    }
}

#[test]
fn each_part_of_a_description_counts() {
    let describe = |revision, bytes: &[u8]| Command::Describe {
        partition: QUEUE,
        description: Description {
            revision: Revision(revision),
            bytes: bytes.into(),
        },
    };
    let stories = [
        None,
        Some(describe(5, b"a")),
        Some(describe(5, b"b")),
        Some(describe(6, b"a")),
    ];
    let described = |command: &Option<Command>| {
        let mut machine = machine();
        if let Some(command) = command {
            let outcome = machine.apply(&request(9, command.clone()), &[], &mut Vec::new());
            assert_eq!(outcome, Outcome::Done);
        }
        machine
    };
    all_differ(&stories, |story| described(story).state_hash());
    all_differ(&stories, |story| {
        let mut machine = described(story);
        // The state alone, whatever brought it about.
        machine.hash = StateHash::default();
        machine.remembered = Default::default();
        machine.full_hash()
    });
}

/// A delivery, and ones that differ from it in one field each.
fn deliveries() -> Vec<Delivery> {
    let mut all = vec![delivery(); 15];
    all[1].sequence = Sequence(2);
    all[2].receipt.partition = PartitionId(8);
    all[3].receipt.sequence = Sequence(2);
    all[4].receipt.lease = 2;
    all[5].sent_at = Ts(11);
    all[6].first_received_at = Ts(21);
    all[7].receive_count = 2;
    all[8].group = Some("g".into());
    all[9].size = 6;
    all[10].crc = 7;
    for (n, (queue, message, receives)) in [(1, 1, 1), (2, 1, 1), (1, 2, 1), (1, 1, 2)]
        .into_iter()
        .enumerate()
    {
        all[11 + n].dead_from = Some(Box::new(DeadFrom {
            queue: QueueId(queue),
            message: MessageId {
                partition: QUEUE,
                sequence: Sequence(message),
            },
            receives,
        }));
    }
    all
}

fn hash_of(outcome: &Outcome) -> u64 {
    let mut hash = StateHash::default();
    hash.absorb_outcome(outcome);
    hash.0
}

fn closed(waits_for: Vec<PartitionId>, keyed_sends: u32) -> Outcome {
    Outcome::Closed {
        waits_for,
        keyed_sends,
    }
}

#[test]
fn each_part_of_an_outcome_counts() {
    let mut outcomes: Vec<Outcome> = deliveries()
        .into_iter()
        .map(|delivery| Outcome::Received(vec![delivery]))
        .collect();
    let refused = |code, applied| {
        Outcome::Refused(Refusal {
            code,
            applied,
            detail: "".into(),
        })
    };
    outcomes.extend([
        Outcome::Done,
        Outcome::Waiting,
        Outcome::Received(vec![]),
        Outcome::Received(vec![delivery(), delivery()]),
        Outcome::Sent(vec![SendResult::Accepted(Sequence(1))]),
        Outcome::Sent(vec![SendResult::Accepted(Sequence(2))]),
        Outcome::Sent(vec![SendResult::Duplicate(Sequence(1))]),
        Outcome::Sent(vec![SendResult::Conflict]),
        Outcome::Sent(vec![SendResult::Full]),
        Outcome::Receipts(vec![ReceiptResult::Done]),
        Outcome::Receipts(vec![ReceiptResult::Gone]),
        Outcome::Receipts(vec![ReceiptResult::Expired]),
        Outcome::Receipts(vec![ReceiptResult::Superseded]),
        Outcome::Receipts(vec![ReceiptResult::Unknown]),
        Outcome::Receipts(vec![ReceiptResult::NotLeased]),
        Outcome::Receipts(vec![ReceiptResult::TooLong]),
        refused(ErrorCode::Busy, Applied::No),
        refused(ErrorCode::Busy, Applied::Unknown),
        refused(ErrorCode::QueueFull, Applied::No),
        closed(vec![], 0),
        closed(vec![QUEUE], 0),
        closed(vec![QUEUE], 1),
    ]);
    let purged = |seal: Seal, heir: Option<Heir>| Outcome::PurgedBut {
        seal: Box::new(seal),
        heir: heir.map(Box::new),
    };
    outcomes.extend(seals().into_iter().map(|seal| purged(seal, None)));
    outcomes.extend(heirs().map(|heir| purged(seals().remove(0), Some(heir))));
    outcomes.extend(seals().into_iter().map(|s| Outcome::Sealed(Box::new(s))));
    all_differ(&outcomes, hash_of);
}

#[test]
fn body_places_and_words_for_people_do_not_count() {
    let mut moved = delivery();
    moved.body.segment = 5;
    let received = |delivery| Outcome::Received(vec![delivery]);
    assert_eq!(hash_of(&received(moved)), hash_of(&received(delivery())));
    let refused = |detail| Outcome::Refused(Refusal::not_applied(ErrorCode::Busy, detail));
    assert_eq!(hash_of(&refused("later")), hash_of(&refused("come again")));
}
