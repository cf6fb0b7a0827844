//! Calls with which hosts tell successors what they have to know. Here all partitions are on one cluster,
//! so its own hosts are called.

use shoal_host::core::{OperationId, Telling};
use shoal_types::{Command, HostId, HostReply, HostRequest, Inherited, Outcome};

use super::Rig;

/// Calls that are on their way, and what is made to go wrong with them.
#[derive(Default)]
pub(super) struct Tellings {
    /// Made, not yet taken to any host: who makes it, and what it says.
    pub(super) made: Vec<(HostId, Telling)>,
    waiting: Vec<(HostId, Telling, OperationId)>,
    by: Vec<HostId>,
    keyed_sends: usize,
    unreachable: bool,
}

impl Rig {
    /// From now on no successor can be reached, or each can again.
    pub(crate) fn successors_are_unreachable(&mut self, unreachable: bool) {
        self.tellings.unreachable = unreachable;
    }

    /// Who made calls to successors so far, in their order.
    pub(crate) fn tellings_by(&self) -> &[HostId] {
        &self.tellings.by
    }

    /// How many sends with deduplication keys were told so far, repeated ones included.
    pub(crate) fn keyed_sends_told(&self) -> usize {
        self.tellings.keyed_sends
    }

    /// Takes the calls to hosts, and their answers back.
    pub(super) fn deliver_tellings(&mut self) {
        for (by, telling) in std::mem::take(&mut self.tellings.made) {
            self.tellings.by.push(by);
            self.tellings.keyed_sends += keyed_sends_in(&telling);
            let acting = self.acting();
            if self.tellings.unreachable || acting.is_empty() {
                self.told(by, &telling, Err("nobody is there".to_owned()));
                continue;
            }
            let callee = acting[self.tellings.by.len() % acting.len()];
            let operation = self.call(callee, telling.request.clone(), Vec::new());
            self.tellings.waiting.push((by, telling, operation));
        }
        for (by, telling, operation) in std::mem::take(&mut self.tellings.waiting) {
            match self.answer(operation) {
                None => self.tellings.waiting.push((by, telling, operation)),
                Some((Ok(HostReply::Outcome(outcome)), _)) => self.told(by, &telling, Ok(outcome)),
                Some((Ok(other), _)) => panic!("{other:?} answers a command"),
                Some((Err(refusal), _)) => {
                    self.told(by, &telling, Ok(Outcome::Refused(refusal)));
                }
            }
        }
    }

    fn told(&mut self, by: HostId, telling: &Telling, answer: Result<Outcome, String>) {
        if self.slots[&by].running.is_some() {
            self.running(by).core.on_told(telling.told(answer));
            self.turn(by);
        }
    }
}

fn keyed_sends_in(telling: &Telling) -> usize {
    match &telling.request {
        HostRequest::Execute { request, .. } => match &request.command {
            Command::Succeed {
                news: Inherited::KeyedSends { sends, .. },
                ..
            } => sends.len(),
            _ => 0,
        },
        _ => 0,
    }
}
