//! Stories of messages that go to other queues, told with two clusters and what lies between them.

mod dying;
mod moving;
mod parcels;

use shoal_queue::MACHINE_VERSION_MAX;
use shoal_types::{
    ClusterId, ClusterMember, Command, DeadLetters, Delivery, Epoch, GroupRange, HostId, MoveTask,
    MoveTo, Outbox, Outcome, Parcel, PartitionId, PartitionSettings, QueueId, Revision, Target,
    TargetPart,
};

use crate::desk::{Desk, QUEUE, numbers_of, plain_settings, seconds};

/// The queue whose messages die is [`QUEUE`] at one desk; the dead-letter queue is this at another.
pub(crate) const DEAD: PartitionId = PartitionId(50);
pub(crate) const ORDERS: QueueId = QueueId(1);
pub(crate) const DEAD_ORDERS: QueueId = QueueId(5);

/// Two clusters.
pub(crate) struct Both {
    pub(crate) source: Desk,
    pub(crate) target: Desk,
}

pub(crate) fn part(partition: PartitionId, groups: GroupRange) -> TargetPart {
    TargetPart {
        partition,
        cluster: ClusterId(2),
        members: vec![ClusterMember {
            host: HostId(9),
            address: "there:1".to_owned(),
        }],
        groups,
    }
}

pub(crate) fn target(queue: QueueId, partition: PartitionId) -> Target {
    Target {
        queue,
        parts: vec![part(partition, GroupRange::ALL)],
    }
}

pub(crate) fn dies_after(max_receives: u16, revision: u64) -> Command {
    Command::SetDeadLetters {
        partition: QUEUE,
        dead_letters: Some(Box::new(DeadLetters {
            queue: ORDERS,
            max_receives,
            to: target(DEAD_ORDERS, DEAD),
        })),
        revision: Revision(revision),
    }
}

pub(crate) fn never_dies(revision: u64) -> Command {
    Command::SetDeadLetters {
        partition: QUEUE,
        dead_letters: None,
        revision: Revision(revision),
    }
}

pub(crate) fn move_all(task: u64, to: MoveTo) -> MoveTask {
    MoveTask {
        task,
        to,
        per_second: None,
    }
}

fn desk(fifo: bool) -> Desk {
    let mut desk = Desk::with(PartitionSettings {
        epoch: Epoch(0),
        fifo,
        ..plain_settings()
    });
    let to = MACHINE_VERSION_MAX;
    desk.anonymous(Command::RaiseVersion { to });
    desk
}

impl Both {
    /// Messages die after so many receives.
    pub(crate) fn dying_after(max_receives: u16, fifo: bool) -> Self {
        let (mut source, mut target) = (desk(fifo), desk(fifo));
        assert_eq!(source.request(dies_after(max_receives, 5)), Outcome::Done);
        let created = target.request(Command::CreatePartition {
            partition: DEAD,
            settings: PartitionSettings {
                fifo,
                ..plain_settings()
            },
            revision: Revision(1),
        });
        assert_eq!(created, Outcome::Done);
        Self { source, target }
    }

    /// What the source gives, in its order; a standard queue's groups take turns, so there by number.
    pub(crate) fn given(&mut self, fifo: bool) -> Vec<u64> {
        let mut numbers = self.source.numbers(10);
        if !fifo {
            numbers.sort_unstable();
        }
        numbers
    }

    /// Time passes in both clusters.
    pub(crate) fn wait(&mut self, seconds_: u64) {
        self.source.wait(seconds(seconds_));
        self.target.wait(seconds(seconds_));
    }

    /// Carries what is on its way, and tells the source; false if nothing is.
    #[track_caller]
    pub(crate) fn carry(&mut self) -> bool {
        let made = self.source.machine().parcels_made(QUEUE);
        let Some((to, parcel)) = self.source.parcel() else {
            self.source.next_parcel(0);
            return self.source.machine().parcels_made(QUEUE) > made;
        };
        let through = parcel.number;
        let taken = self.target.take_parcel(to, QUEUE, &parcel);
        assert_eq!(taken, Outcome::Taken { through });
        self.source.next_parcel(through);
        true
    }

    /// All there is to carry, until all is settled.
    #[track_caller]
    pub(crate) fn carry_all(&mut self) {
        for _ in 0..1_000 {
            if !self.carry() {
                let now = self.source.now();
                assert!(!self.source.machine().may_make_parcel(QUEUE, now));
                return;
            }
        }
        panic!("there is no end to it");
    }

    /// What there is in the dead-letter queue, by the numbers there; it is given back.
    #[track_caller]
    pub(crate) fn dead(&mut self) -> Vec<Delivery> {
        let dead = self.target.receive_from(DEAD);
        let receipts = dead.iter().map(|delivery| delivery.receipt).collect();
        self.target.request(Command::Unreceive {
            partition: DEAD,
            receipts,
        });
        dead
    }

    /// What both hosts had on disk is all they know.
    pub(crate) fn restart(&mut self) {
        self.source.restart();
        self.target.restart();
    }
}

impl Desk {
    pub(crate) fn outbox(&self) -> Outbox {
        self.machine().outbox(QUEUE).expect("it is there")
    }

    pub(crate) fn parcel(&self) -> Option<(PartitionId, Parcel)> {
        let (to, parcel, bodies) = self.machine().parcel(QUEUE)?;
        assert_eq!(parcel.messages.len(), bodies.len());
        Some((to.partition, parcel))
    }

    pub(crate) fn next_parcel(&mut self, taken: u64) -> Outcome {
        self.anonymous(Command::NextParcel {
            partition: QUEUE,
            taken,
        })
    }

    pub(crate) fn take_parcel(
        &mut self,
        partition: PartitionId,
        from: PartitionId,
        parcel: &Parcel,
    ) -> Outcome {
        self.anonymous(Command::TakeParcel {
            partition,
            from,
            parcel: parcel.clone(),
        })
    }

    /// Receives so many and lets the leases run out.
    pub(crate) fn fail(&mut self, count: u16) -> Vec<u64> {
        let received = self.receive(count);
        self.wait(seconds(30));
        numbers_of(&received)
    }
}
