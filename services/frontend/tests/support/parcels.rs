//! What hosts do to bring messages to other queues. All of them are on one cluster here.

use bytes::Bytes;
use shoal_types::{
    Command, ErrorCode, HostId, Origin, Outbox, Outcome, PartitionId, Request, RequestId, Ts,
};

use super::cluster::{Executed, FakeCluster};

impl FakeCluster {
    /// What a partition sends to other queues.
    pub fn outbox(&self, partition: PartitionId) -> Outbox {
        let outbox = self.state().machine.outbox(partition);
        outbox.expect("the partition is here")
    }

    /// Makes the parcels that can be made, and brings those that are on their way one step on.
    pub(super) fn carry_parcels(&self) {
        let senders: Vec<PartitionId> = self.state().machine.senders().collect();
        for source in senders {
            if let Some(next) = self.next_step(source) {
                self.own(next);
            }
        }
    }

    /// What the source is to be told: what became of its parcel, or that it may make one.
    fn next_step(&self, source: PartitionId) -> Option<Command> {
        let now = self.now();
        let (take, bodies) = {
            let state = self.state();
            let parcel = state.machine.parcel(source);
            if state.machine.may_make_parcel(source, now) {
                let made = state.machine.parcels_made(source);
                return Some(Command::NextParcel {
                    partition: source,
                    // One that is on its way all the same only settles.
                    taken: made - u64::from(parcel.is_some()),
                });
            }
            let (to, parcel, places) = parcel?;
            let take = Command::TakeParcel {
                partition: to.partition,
                from: source,
                parcel,
            };
            let bodies: Vec<Bytes> = places.into_iter().map(|at| state.body(at)).collect();
            (take, bodies)
        };
        let Command::TakeParcel { parcel, .. } = &take else {
            unreachable!("made as one")
        };
        let number = parcel.number;
        let request = Request {
            id: RequestId(0),
            deadline: Ts::MAX,
            origin: Origin::default(),
            command: take,
        };
        match self.execute(HostId(0), request, &bodies) {
            Ok(Executed::Now(Outcome::Taken { through })) => Some(Command::NextParcel {
                partition: source,
                taken: through,
            }),
            Err(refusal) if refusal.code == ErrorCode::QueueNotFound => {
                Some(Command::ReturnParcel {
                    partition: source,
                    parcel: number,
                })
            }
            // A target that is full is asked again.
            _ => None,
        }
    }
}
