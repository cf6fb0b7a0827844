//! Goal and method as in `hash_covers_everything.rs`, for who takes turns, where groups stand in line, and
//! when leased messages were received.

use shoal_types::{Command, Epoch, MachineVersion, PartitionSettings, Revision, SendItem, Ts};

use crate::chunk::{Hold, Side};
use crate::hash_covers_everything::{QUEUE, SECOND, all_differ, at, request};
use crate::link::LinkBack;
use crate::machine::Machine;
use crate::partition::Partition;

/// A queue with a leased message of a group, and two groups in line.
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
    let of_group = |group: &str| SendItem {
        size: 5,
        crc: 77,
        delay: None,
        ttl: None,
        group: Some(group.into()),
        deduplication: None,
    };
    let commands = [
        Command::RaiseVersion {
            to: MachineVersion(3),
        },
        Command::CreatePartition {
            partition: QUEUE,
            settings,
            revision: Revision(1),
        },
        Command::Send {
            partition: QUEUE,
            items: ["x", "a", "b"].map(of_group).to_vec(),
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
        let bodies = vec![Default::default(); command.bodies().count()];
        machine.apply(&request(id, command), &bodies, &mut Vec::new());
    }
    machine
}

#[test]
fn places_turns_and_times_of_receives_are_in_the_full_hash() {
    let changes: [fn(&mut Partition); 4] = [
        |_| (),
        |partition| {
            partition.contents.slots.edit(1, |chunk, offset| {
                let link = chunk.link_mut(offset).expect("it has a group");
                link.set_back(LinkBack::None);
            });
        },
        |partition| {
            // The first group is out of the line, and in it again behind the other one.
            partition.contents.go(2);
            partition.contents.stay(2, Ts(100 * SECOND));
        },
        |partition| {
            partition.contents.slots.edit(1, |chunk, offset| {
                let side = chunk.side(offset);
                let Hold::Leased { until, .. } = side.hold else {
                    panic!("it is leased")
                };
                let since = Ts(1);
                let hold = Hold::Leased { until, since };
                chunk.set_side(offset, Side { hold, ..side });
            });
        },
    ];
    all_differ(&changes, |change| {
        let mut machine = machine();
        machine.on_partition(QUEUE, &mut Vec::new(), |partition, _| change(partition));
        machine.full_hash()
    });
}
