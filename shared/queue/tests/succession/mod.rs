//! Stories of partitions that follow one another.

mod forwarding;
mod inheriting;
mod moving;
mod sealing;

use shoal_queue::MACHINE_VERSION_MAX;
use shoal_types::{
    ClusterId, ClusterMember, Command, Delivery, Epoch, ErrorCode, GroupRange, HostId, Inherited,
    Outcome, PartitionId, PartitionSettings, Receipt, Revision, Seal, SendItem, SendResult,
    Succession, SuccessionStage, Successor,
};

use crate::desk::{Desk, QUEUE, plain_settings};

pub(crate) const NEXT: PartitionId = PartitionId(2);
pub(crate) const OTHER: PartitionId = PartitionId(3);

/// A desk at which partitions may follow one another.
pub(crate) fn desk(fifo: bool) -> Desk {
    let mut desk = Desk::with(settings(0, fifo));
    let to = MACHINE_VERSION_MAX;
    desk.anonymous(Command::RaiseVersion { to });
    desk
}

pub(crate) fn settings(epoch: u32, fifo: bool) -> PartitionSettings {
    PartitionSettings {
        epoch: Epoch(epoch),
        fifo,
        ..plain_settings()
    }
}

pub(crate) fn successor(partition: PartitionId, epoch: u32) -> Successor {
    let member = ClusterMember {
        host: HostId(9),
        address: "there:1".to_owned(),
    };
    Successor {
        partition,
        epoch: Epoch(epoch),
        cluster: ClusterId(2),
        members: vec![member],
        groups: GroupRange::ALL,
    }
}

pub(crate) fn create(partition: PartitionId, epoch: u32, succeeds: &[PartitionId]) -> Command {
    Command::CreateSuccessor {
        partition,
        settings: settings(epoch, false),
        revision: Revision(10),
        succeeds: succeeds.to_vec(),
    }
}

pub(crate) fn create_fifo(partition: PartitionId, epoch: u32, succeeds: &[PartitionId]) -> Command {
    let mut command = create(partition, epoch, succeeds);
    if let Command::CreateSuccessor { settings, .. } = &mut command {
        settings.fifo = true;
    }
    command
}

pub(crate) fn seal_for(partition: PartitionId, successors: Vec<Successor>) -> Command {
    Command::Seal {
        partition,
        successors,
        revision: Revision(20),
    }
}

pub(crate) fn tell(partition: PartitionId, seal: &Seal, news: Inherited) -> Command {
    Command::Succeed {
        partition,
        seal: Box::new(seal.clone()),
        news,
    }
}

pub(crate) fn closed(waits_for: &[PartitionId]) -> Outcome {
    closed_knowing(0, waits_for)
}

/// What one is answered that told it of a seal of which it knows so many keyed sends.
pub(crate) fn closed_knowing(keyed_sends: u32, waits_for: &[PartitionId]) -> Outcome {
    Outcome::Closed {
        waits_for: waits_for.to_vec(),
        keyed_sends,
    }
}

/// What moves come to, in words.
impl Desk {
    /// Seals the partition for one successor, and gives what it shows.
    pub(crate) fn seal(&mut self, partition: PartitionId, next: PartitionId, epoch: u32) -> Seal {
        self.sealed(seal_for(partition, vec![successor(next, epoch)]))
    }

    #[track_caller]
    pub(crate) fn sealed(&mut self, command: Command) -> Seal {
        match self.request(command) {
            Outcome::Sealed(seal) => *seal,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn send_to(&mut self, partition: PartitionId, items: Vec<SendItem>) -> Outcome {
        self.request(Command::Send { partition, items })
    }

    #[track_caller]
    pub(crate) fn sent_to(
        &mut self,
        partition: PartitionId,
        items: Vec<SendItem>,
    ) -> Vec<SendResult> {
        match self.send_to(partition, items) {
            Outcome::Sent(results) => results,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn receive_from(&mut self, partition: PartitionId) -> Vec<Delivery> {
        let received = self.request(Command::Receive {
            partition,
            max: 100,
            visibility: None,
            wait_until: None,
            attempt: None,
            auto_ack: false,
        });
        match received {
            Outcome::Received(deliveries) => deliveries,
            other => panic!("{other:?}"),
        }
    }

    /// The groups of the messages that there are to receive, in their order.
    #[track_caller]
    pub(crate) fn groups_from(&mut self, partition: PartitionId) -> Vec<String> {
        let deliveries = self.receive_from(partition).into_iter();
        let group = |delivery: Delivery| delivery.group.expect("it has one").to_string();
        deliveries.map(group).collect()
    }

    #[track_caller]
    pub(crate) fn delete_all(&mut self, deliveries: &[Delivery]) {
        let receipts: Vec<Receipt> = deliveries.iter().map(|d| d.receipt).collect();
        let partition = receipts[0].partition;
        self.request(Command::Acknowledge {
            partition,
            receipts,
        });
    }

    pub(crate) fn told(&mut self, partition: PartitionId, seal: &Seal, news: Inherited) -> Outcome {
        self.request(tell(partition, seal, news))
    }

    /// As a host of the sealed partition tells it, in blocks of so many.
    pub(crate) fn tell_keyed_sends(&mut self, partition: PartitionId, seal: &Seal, block: u32) {
        let mut first = 0;
        while first < seal.keyed_sends {
            let machine = self.machine();
            let sends = machine.keyed_sends_at_seal(seal.partition, first, block as usize);
            let sends = sends.expect("it is sealed");
            let count = sends.len() as u32;
            self.told(partition, seal, Inherited::KeyedSends { first, sends });
            first += count;
        }
    }

    pub(crate) fn succession(&self, partition: PartitionId) -> Succession {
        let succession = self.machine().succession(partition);
        succession.expect("the partition is there")
    }
}

#[test]
fn partitions_follow_one_another_only_by_the_rules_that_know_of_it() {
    let mut desk = Desk::new();
    let seal = {
        let mut later = self::desk(false);
        later.seal(QUEUE, NEXT, 1)
    };
    let commands = [
        create(NEXT, 1, &[QUEUE]),
        seal_for(QUEUE, vec![successor(NEXT, 1)]),
        tell(QUEUE, &seal, Inherited::Seal),
        Command::ToldDrained {
            partition: QUEUE,
            successors: vec![NEXT],
        },
    ];
    for command in commands {
        assert_eq!(
            desk.admit(command.clone(), 5),
            Err(ErrorCode::NotReady),
            "{command:?}"
        );
        assert_eq!(desk.refusal(command), ErrorCode::NotReady);
    }
    assert_eq!(desk.succession(QUEUE).stage, SuccessionStage::Open);
    let counts = desk.machine().partitions().count();
    assert_eq!(counts, 1);
}

#[test]
fn only_partitions_that_move_have_a_record_of_it() {
    const KIND: u8 = 8;
    let lineages = |desk: &Desk| desk.stored().keys().filter(|key| key[0] == KIND).count();
    let mut desk = desk(true);
    desk.send_in_groups(&["a"]);
    desk.checkpoint();
    assert_eq!(lineages(&desk), 0);
    desk.request(create_fifo(NEXT, 1, &[QUEUE]));
    desk.seal(QUEUE, NEXT, 1);
    desk.restart();
    assert_eq!(lineages(&desk), 2);
    for partition in [QUEUE, NEXT] {
        let revision = Revision(30);
        let delete = Command::DeletePartition {
            partition,
            revision,
        };
        assert_eq!(desk.request(delete), Outcome::Done);
    }
    desk.checkpoint();
    assert_eq!(lineages(&desk), 0);
    assert_eq!(desk.machine().sealed().count(), 0);
}
