//! Commands gathered for the next entry, and who is let in.

use bytes::Bytes;
use shoal_replication::Payload;
use shoal_types::{
    Command, ErrorCode, GroupHash, HeldGroups, Inherited, KeyedSend, Mono, Origin, Refusal,
    Request, RequestId, Ts,
};

use super::{Answer, Core, OperationId};
use crate::batch::BatchBuilder;
use crate::limits;

/// See the module.
#[derive(Default)]
pub(super) struct Intake {
    waiting: std::collections::VecDeque<Gathered>,
    bytes: usize,
}

struct Gathered {
    /// `None`: the host's own command, nobody waits for it.
    operation: Option<OperationId>,
    request: Request,
    bodies: Vec<Bytes>,
    bytes: usize,
}

impl Gathered {
    fn new(operation: Option<OperationId>, request: Request, bodies: Vec<Bytes>) -> Self {
        let bytes = head_bytes(&request.command) + bodies.iter().map(Bytes::len).sum::<usize>();
        Self {
            operation,
            request,
            bodies,
            bytes,
        }
    }
}

/// The head of a command with its lengths: a close upper estimate for all but large batches of
/// receipts, which are bounded by their own limit.
fn head_bytes(command: &Command) -> usize {
    const HEAD: usize = 64;
    const GROUP: usize = size_of::<GroupHash>() + 1;
    let (seal, news) = match command {
        Command::Succeed { seal, news, .. } => (seal, news),
        Command::Describe { description, .. } => return HEAD + description.bytes.len(),
        _ => return HEAD,
    };
    let held = match &seal.held {
        HeldGroups::These(groups) => groups.len() * GROUP,
        HeldGroups::None | HeldGroups::All => 0,
    };
    let news = match news {
        Inherited::KeyedSends { sends, .. } => sends.len() * size_of::<KeyedSend>(),
        Inherited::GroupsGone(groups) => groups.len() * GROUP,
        Inherited::Seal | Inherited::Drained => 0,
    };
    HEAD + held + news
}

impl Intake {
    fn push(&mut self, operation: Option<OperationId>, request: Request, bodies: Vec<Bytes>) {
        let gathered = Gathered::new(operation, request, bodies);
        self.bytes += gathered.bytes;
        self.waiting.push_back(gathered);
    }

    /// Puts back what was taken out last, before everything else.
    fn put_back(&mut self, operation: Option<OperationId>, request: Request, bodies: Vec<Bytes>) {
        let gathered = Gathered::new(operation, request, bodies);
        self.bytes += gathered.bytes;
        self.waiting.push_front(gathered);
    }

    fn pop(&mut self) -> Option<Gathered> {
        let gathered = self.waiting.pop_front()?;
        self.bytes -= gathered.bytes;
        Some(gathered)
    }

    /// A command of the host's own: idempotent, not remembered, nobody waits for it.
    pub(super) fn push_own(&mut self, origin: Origin, command: Command) {
        let request = Request {
            id: RequestId(0),
            deadline: Ts::MAX,
            origin,
            command,
        };
        self.push(None, request, Vec::new());
    }

    pub(super) fn push_tick(&mut self, origin: Origin) {
        self.push_own(origin, Command::Tick);
    }

    /// Removes an operation that was not sent off yet and gives its request.
    pub(super) fn remove(&mut self, operation: OperationId) -> Option<Request> {
        self.remove_where(|gathered| gathered.operation == Some(operation))
    }

    /// Removes the cancelling of a waiter that was not sent off yet: its client is back.
    fn remove_cancelling(&mut self, waiter: RequestId) {
        self.remove_where(|gathered| {
            let command = &gathered.request.command;
            matches!(command, Command::CancelWaiter { waiter: w, .. } if *w == waiter)
        });
    }

    fn remove_where(&mut self, is_it: impl Fn(&Gathered) -> bool) -> Option<Request> {
        let at = self.waiting.iter().position(is_it)?;
        let gathered = self.waiting.remove(at)?;
        self.bytes -= gathered.bytes;
        Some(gathered.request)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl Core {
    /// Everything that can be known before replicating is checked here, so that what is refused has
    /// certainly not been applied.
    pub(super) fn admit(&self, request: &Request, bodies: &[Bytes]) -> Result<(), Refusal> {
        if !self.takes_commands() {
            return Err(self.not_serving());
        }
        if self.operations.in_flight() + self.intake.waiting.len() >= limits::OPERATIONS_MAX
            || self.intake.bytes >= limits::INTAKE_BYTES_MAX
        {
            return Err(Refusal::not_applied(
                ErrorCode::Busy,
                "this host has its hands full",
            ));
        }
        self.check_disk(&request.command)?;
        if let Command::Send { .. } | Command::TakePiece { .. } | Command::TakeParcel { .. } =
            &request.command
        {
            let sizes = request.command.bodies().map(|(size, _)| size as usize);
            if !sizes.eq(bodies.iter().map(Bytes::len)) {
                return Err(Refusal::not_applied(
                    ErrorCode::InvalidRequest,
                    "messages and bodies of the command do not fit each other",
                ));
            }
            if bodies.iter().map(Bytes::len).sum::<usize>() > limits::SEND_BYTES_MAX {
                return Err(Refusal::not_applied(
                    ErrorCode::TooLarge,
                    "messages: together more than 4 MiB",
                ));
            }
        }
        self.machine.admit(request, self.clock())
    }

    fn check_disk(&self, command: &Command) -> Result<(), Refusal> {
        let used = self.fullest_disk();
        let limit = match command {
            Command::Send { .. }
            | Command::CreatePartition { .. }
            | Command::CreateSuccessor { .. }
            | Command::CreateHeir { .. }
            | Command::TakePiece { .. }
            | Command::TakeParcel { .. } => limits::DISK_NO_SENDS_PERCENT,
            Command::Receive { .. } => limits::DISK_NO_RECEIVES_PERCENT,
            _ => return Ok(()),
        };
        if used < limit {
            return Ok(());
        }
        Err(Refusal::not_applied(
            ErrorCode::DiskFull,
            format!("a disk of the cluster is {used} % full; acknowledging messages frees space"),
        ))
    }

    pub(super) fn take_in(
        &mut self,
        operation: OperationId,
        mut request: Request,
        bodies: Vec<Bytes>,
    ) {
        request.origin = self.origin;
        if let Command::Receive { .. } = request.command {
            self.operations.receive_pending(request.id);
            self.intake.remove_cancelling(request.id);
        }
        self.intake.push(Some(operation), request, bodies);
    }

    /// A host that stopped acting a moment ago holds commands: most view changes end in milliseconds,
    /// and the command then goes out in the new view without anybody noticing.
    fn takes_commands(&self) -> bool {
        self.serves() || self.hold_ends().is_some_and(|end| self.now.mono < end)
    }

    pub(super) fn hold_ends(&self) -> Option<Mono> {
        // A host that is about to stop does not come back, and one that hears badly not in a moment.
        let stays_out = self.engine.is_leaving() || self.engine.is_kept_out();
        let since = self.suspended_since.filter(|_| !stays_out)?;
        let end = since + limits::HOLD_WHILE_SUSPENDED;
        (self.now.mono < end || !self.intake.is_empty()).then_some(end)
    }

    /// Makes entries of what was gathered, unless a sync is under way: what arrives meanwhile shares
    /// the next one.
    pub(super) fn send_off_intake(&mut self) {
        if self.intake.is_empty() {
            return;
        }
        if !self.serves() {
            if self.hold_ends().is_none_or(|end| self.now.mono >= end) {
                self.refuse_intake();
            }
            return;
        }
        if self.writing {
            return;
        }
        while !self.intake.is_empty() && self.send_off_one_entry() {}
        self.pump();
    }

    /// False if the engine has as much to do as it may have; the commands stay gathered then.
    fn send_off_one_entry(&mut self) -> bool {
        let mut batch = BatchBuilder::default();
        let mut operations = Vec::new();
        while let Some(next) = self.intake.waiting.front() {
            if !batch.is_empty() && batch.len() + next.bytes > limits::ENTRY_BYTES_TARGET {
                break;
            }
            let gathered = self.intake.pop().expect("looked at a moment ago");
            batch.push(gathered.request, gathered.bodies);
            operations.push(gathered.operation);
        }
        let (chunks, commands) = batch.finish();
        match self.engine.submit(Payload::new(chunks), self.now) {
            Ok(ticket) => {
                if operations.iter().any(Option::is_some) {
                    self.meter.appended(ticket, self.now.mono);
                }
                self.operations.sent_off(ticket, operations);
                self.own.insert(ticket, commands);
                true
            }
            Err(_not_now) => {
                for (operation, placed) in operations.into_iter().zip(commands).rev() {
                    self.intake
                        .put_back(operation, placed.request, placed.bodies);
                }
                false
            }
        }
    }

    fn refuse_intake(&mut self) {
        while let Some(gathered) = self.intake.pop() {
            if let Some(operation) = gathered.operation {
                self.receive_ended(&gathered.request);
                let refusal = match self.agreement.dispute() {
                    Some(_) => self.not_serving(),
                    None => left_the_view(),
                };
                self.answer(operation, Answer::refused(refusal));
            }
        }
    }
}

/// Why a command that was taken in was not applied after all.
pub(super) fn left_the_view() -> Refusal {
    Refusal::not_applied(
        ErrorCode::NotReady,
        "this host left its cluster's view before the command was ordered",
    )
}
