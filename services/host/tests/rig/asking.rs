//! What clients, the manager and other hosts say to a host, and what they are told.

use bytes::Bytes;
use shoal_host::core::OperationId;
use shoal_replication::{Heartbeat, HostPhase, Message, StateReport};
use shoal_types::{
    ClusterMember, ClusterSpec, Command, HostId, HostReply, HostRequest, Outcome, Query, Refusal,
    Request, RequestId, Revision, SendItem, Ts,
};

use super::{CLUSTER, QUEUE, Rig, WholeAnswer};

impl Rig {
    /// Calls a host and waits for the answer.
    pub(crate) fn ask(&mut self, host: HostId, request: HostRequest) -> Result<HostReply, Refusal> {
        let operation = self.call(host, request, Vec::new());
        self.run_until(|rig| rig.is_answered(operation));
        self.answer(operation).expect("just waited for it").0
    }

    /// Asks a host and gives the operation, answered or not yet.
    pub(crate) fn call(
        &mut self,
        host: HostId,
        request: HostRequest,
        bodies: Vec<Bytes>,
    ) -> OperationId {
        self.last_operation += 1;
        let operation = OperationId(self.last_operation);
        self.running(host).core.on_call(operation, request, bodies);
        self.turn(host);
        operation
    }

    /// A request under a new id, with ten seconds to live.
    pub(crate) fn request(&mut self, command: Command) -> HostRequest {
        self.last_request += 1;
        let request = Request {
            id: RequestId(self.last_request),
            deadline: self.now.wall.after(10_000_000),
            origin: Default::default(),
            command,
        };
        HostRequest::Execute {
            cluster: CLUSTER,
            request,
        }
    }

    pub(crate) fn query(&self, query: Query) -> HostRequest {
        HostRequest::Query {
            cluster: CLUSTER,
            query,
        }
    }

    /// Executes a command at a host and waits for the answer.
    pub(crate) fn execute(
        &mut self,
        host: HostId,
        command: Command,
        bodies: Vec<Bytes>,
    ) -> Result<Outcome, Refusal> {
        self.execute_with_bodies(host, command, bodies)
            .map(|(outcome, _)| outcome)
    }

    pub(crate) fn execute_with_bodies(
        &mut self,
        host: HostId,
        command: Command,
        bodies: Vec<Bytes>,
    ) -> Result<(Outcome, Vec<Bytes>), Refusal> {
        let request = self.request(command);
        let operation = self.call(host, request, bodies);
        self.run_until(|rig| rig.answers.contains_key(&operation));
        match self.answer(operation).expect("just waited for it") {
            (Ok(HostReply::Outcome(outcome)), bodies) => Ok((outcome, bodies)),
            (Ok(other), _) => panic!("{other:?} answers a command"),
            (Err(refusal), _) => Err(refusal),
        }
    }

    pub(crate) fn answer(&mut self, operation: OperationId) -> Option<WholeAnswer> {
        self.answers.remove(&operation)
    }

    pub(crate) fn is_answered(&self, operation: OperationId) -> bool {
        self.answers.contains_key(&operation)
    }

    pub(crate) fn cancel(&mut self, host: HostId, operation: OperationId) {
        self.running(host).core.on_cancel(operation);
        self.turn(host);
    }

    pub(crate) fn send(&mut self, host: HostId, body: &'static str) -> Result<Outcome, Refusal> {
        self.execute(
            host,
            send_of(body),
            vec![Bytes::from_static(body.as_bytes())],
        )
    }

    pub(crate) fn send_bytes(&mut self, host: HostId, body: &[u8]) {
        let item = SendItem {
            size: body.len() as u32,
            crc: crc32c::crc32c(body),
            delay: None,
            ttl: None,
            group: None,
            deduplication: None,
        };
        let send = Command::Send {
            partition: QUEUE,
            items: vec![item],
        };
        self.execute(host, send, vec![Bytes::copy_from_slice(body)])
            .unwrap();
    }

    /// A host hears this from another one.
    pub(crate) fn hear(&mut self, host: HostId, from: HostId, message: Message) {
        self.wire.push_back((from, host, message));
        self.deliver_all();
    }

    /// What a host would say in a heartbeat now, with this about its state.
    pub(crate) fn heartbeat(&self, host: HostId, state: StateReport) -> Message {
        let core = self.core(host);
        Message::Heartbeat(Heartbeat {
            view: core.engine().view().number,
            incarnation: core.origin().incarnation,
            life: super::lives::life(host, self.slots[&host].lives),
            phase: HostPhase::Acting,
            announced: None,
            unheard: vec![],
            durable: vec![0; self.slots.len()],
            wall: self.now.wall,
            disk_used_percent: 0,
            state,
        })
    }

    /// The list of all hosts.
    pub(crate) fn spec(&self) -> ClusterSpec {
        let members = self.slots.keys().map(|host| ClusterMember {
            host: *host,
            address: String::new(),
        });
        ClusterSpec {
            cluster: CLUSTER,
            members: members.collect(),
            revision: Revision(1),
            only: None,
        }
    }

    /// Asks a host to form the cluster that it belongs to.
    pub(crate) fn form_again(&mut self, host: HostId) -> OperationId {
        let spec = self.spec();
        self.call(host, HostRequest::Form { spec }, Vec::new())
    }
}

pub(crate) fn send_of(body: &str) -> Command {
    let item = SendItem {
        size: body.len() as u32,
        crc: crc32c::crc32c(body.as_bytes()),
        delay: None,
        ttl: None,
        group: None,
        deduplication: None,
    };
    Command::Send {
        partition: QUEUE,
        items: vec![item],
    }
}

pub(crate) fn receive(max: u16, wait_until: Option<Ts>) -> Command {
    Command::Receive {
        partition: QUEUE,
        max,
        visibility: None,
        wait_until,
        attempt: None,
        auto_ack: false,
    }
}
