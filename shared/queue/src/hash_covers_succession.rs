//! Goal: whatever two hosts know differently of what follows what, their hashes tell.

use shoal_types::{
    ClusterId, ClusterMember, Command, Epoch, GroupRange, Heir, HeldGroups, HostId, Inherited,
    KeyedSend, MachineVersion, Outcome, PartitionId, PartitionSettings, Piece, Rest, Revision,
    Seal, Sequence, Successor, Ts,
};

use crate::hash::StateHash;
use crate::hash_covers_everything::{QUEUE, SECOND, all_differ, at, request};
use crate::machine::Machine;

const NEXT: PartitionId = PartitionId(8);

fn seal() -> Seal {
    let member = ClusterMember {
        host: HostId(1),
        address: "a:1".to_owned(),
    };
    let successor = Successor {
        partition: NEXT,
        epoch: Epoch(1),
        cluster: ClusterId(1),
        members: vec![member],
        groups: GroupRange { first: 1, last: 5 },
    };
    Seal {
        partition: QUEUE,
        epoch: Epoch(0),
        successors: vec![successor],
        keyed_sends: 0,
        held: HeldGroups::None,
        revision: Revision(5),
        sealed_at: Ts(100 * SECOND),
    }
}

/// A seal, and ones that differ from it in one field each.
pub(crate) fn seals() -> Vec<Seal> {
    let mut all = vec![seal(); 17];
    all[1].partition = PartitionId(9);
    all[2].epoch = Epoch(1);
    all[3].successors.push(seal().successors[0].clone());
    all[4].successors[0].partition = PartitionId(9);
    all[5].successors[0].epoch = Epoch(2);
    all[6].successors[0].cluster = ClusterId(2);
    all[7].successors[0].members[0].host = HostId(2);
    all[8].successors[0].members[0].address = "b:1".to_owned();
    all[9].successors[0].groups.first = 2;
    all[10].successors[0].groups.last = 4;
    all[11].keyed_sends = 1;
    all[12].held = HeldGroups::These(vec![1]);
    all[13].held = HeldGroups::These(vec![2]);
    all[14].held = HeldGroups::All;
    all[15].revision = Revision(6);
    all[16].sealed_at = Ts(101 * SECOND);
    all
}

/// An heir, and ones that differ from it in one field each.
pub(crate) fn heirs() -> impl Iterator<Item = Heir> {
    let heir = Heir {
        partition: NEXT,
        cluster: ClusterId(1),
        members: seal().successors.remove(0).members,
    };
    let mut all = vec![heir; 5];
    all[1].partition = PartitionId(9);
    all[2].cluster = ClusterId(2);
    all[3].members[0].host = HostId(2);
    all[4].members[0].address = "b:1".to_owned();
    all.into_iter()
}

fn settings(epoch: u32) -> PartitionSettings {
    PartitionSettings {
        epoch: Epoch(epoch),
        fifo: true,
        visibility: 30 * SECOND,
        delay: 0,
        retention: 3_600 * SECOND,
        max_messages: 100,
        max_bytes: 1_000,
    }
}

/// Partitions of FIFO queues, the second of which follows the first.
fn machine_that_seals() -> Machine {
    let mut machine = Machine::new();
    machine.begin_entry(at(100), &mut Vec::new());
    let to = MachineVersion(2);
    let commands = [
        Command::RaiseVersion { to },
        Command::CreatePartition {
            partition: QUEUE,
            settings: settings(0),
            revision: Revision(1),
        },
        Command::CreateSuccessor {
            partition: NEXT,
            settings: settings(1),
            revision: Revision(1),
            succeeds: vec![QUEUE],
        },
    ];
    for (id, command) in (1..).zip(commands) {
        let outcome = machine.apply(&request(id, command), &[], &mut Vec::new());
        assert_eq!(outcome, Outcome::Done);
    }
    machine
}

/// What is known of succession is in the full hash, and the rolling one is over what brought it there.
#[test]
fn each_part_of_a_lineage_counts() {
    let send = KeyedSend {
        key: [1; 16],
        fingerprint: None,
        sequence: Sequence(1),
        sent_at: Ts(99 * SECOND),
    };
    let tell = |held, keyed_sends, news| Command::Succeed {
        partition: NEXT,
        seal: Box::new(Seal {
            held,
            keyed_sends,
            ..seal()
        }),
        news,
    };
    let sends = |sends| Inherited::KeyedSends { first: 0, sends };
    let held = || HeldGroups::These(vec![1, 2]);
    let seal = Command::Seal {
        partition: QUEUE,
        successors: seal().successors,
        revision: Revision(5),
    };
    let told = Command::ToldDrained {
        partition: QUEUE,
        successors: vec![NEXT],
    };
    let stories = [
        vec![],
        vec![seal.clone()],
        vec![seal, told],
        vec![tell(HeldGroups::None, 0, Inherited::Seal)],
        vec![tell(HeldGroups::All, 0, Inherited::Seal)],
        vec![tell(held(), 0, Inherited::Seal)],
        vec![tell(held(), 0, Inherited::GroupsGone(vec![1]))],
        vec![tell(held(), 0, Inherited::GroupsGone(vec![2]))],
        vec![tell(HeldGroups::None, 1, Inherited::Seal)],
        vec![tell(HeldGroups::None, 2, Inherited::Seal)],
        vec![tell(HeldGroups::None, 2, sends(vec![send]))],
        vec![tell(HeldGroups::None, 2, sends(vec![send, send]))],
    ];
    stories_all_differ(&stories);
}

/// The same of what goes on to an heir, and of what an heir knows.
#[test]
fn each_part_of_a_forwarding_counts() {
    let sealed = Command::Seal {
        partition: QUEUE,
        successors: seal().successors,
        revision: Revision(5),
    };
    let forward = |partition, cluster| Command::Forward {
        partition: QUEUE,
        heir: Heir {
            partition: PartitionId(partition),
            cluster: ClusterId(cluster),
            members: seal().successors.remove(0).members,
        },
        revision: Revision(5),
    };
    let next = |taken| Command::NextPiece {
        partition: QUEUE,
        heir: PartitionId(9),
        taken,
    };
    let end = Command::EndForwarding {
        partition: QUEUE,
        heir: PartitionId(9),
    };
    let create = |source| Command::CreateHeir {
        partition: PartitionId(9),
        settings: settings(0),
        revision: Revision(5),
        source: PartitionId(source),
        seal: Box::new(seal()),
    };
    let take = |number, rest| Command::TakePiece {
        partition: PartitionId(9),
        from: PartitionId(7),
        piece: Piece {
            number,
            messages: Vec::new(),
            rest,
        },
    };
    let more = |groups| Rest::Some { groups };
    let stories = [
        vec![sealed.clone()],
        vec![sealed.clone(), forward(9, 1)],
        vec![sealed.clone(), forward(10, 1)],
        vec![sealed.clone(), forward(9, 2)],
        vec![sealed.clone(), forward(9, 1), next(0)],
        vec![sealed.clone(), forward(9, 1), next(0), next(1)],
        vec![sealed, forward(9, 1), next(0), end],
        vec![create(6)],
        vec![create(7)],
        vec![create(7), take(1, Rest::Nothing)],
        vec![create(7), take(1, more(HeldGroups::None))],
        vec![create(7), take(1, more(HeldGroups::All))],
        vec![
            create(7),
            take(1, more(HeldGroups::None)),
            take(2, more(HeldGroups::None)),
        ],
    ];
    stories_all_differ(&stories);
}

fn stories_all_differ(stories: &[Vec<Command>]) {
    let play = |story: &Vec<Command>| {
        let mut machine = machine_that_seals();
        for (id, command) in (10..).zip(story) {
            let request = request(id, command.clone());
            let outcome = machine.apply(&request, &[], &mut Vec::new());
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
