//! Between clients and hosts: calls, answers, and connections that break.

use bytes::Bytes;
use shoal_host::core::{Answer, OperationId, StoredBody};
use shoal_types::{HostId, HostRequest, Ts};

use super::bodies::ToBeRead;
use super::host::{Caller, Input};
use super::{Event, Outstanding, World};
use crate::history::{CallId, SimTime, Told};
use crate::limits::{CLIENT_SILENCE, CLIENT_SILENCE_SPREAD, EPOCH, MS};
use crate::sometimes::Sometimes;
use crate::trace::Note;
use crate::workload::Ask;

impl World {
    fn client_wall(&self) -> Ts {
        Ts((EPOCH + self.now.0).saturating_add_signed(self.client_ahead))
    }

    /// Lets clients act whose time has come.
    pub(super) fn wake_clients(&mut self) {
        // They may have been woken before and have another time in mind by now.
        if self.clients_planned != Some(self.now) {
            return;
        }
        self.clients_planned = None;
        let wall = self.client_wall();
        let asks = self.workload.wake(self.now, wall);
        self.carry_out_asks(asks);
    }

    fn carry_out_asks(&mut self, asks: Vec<Ask>) {
        for ask in asks {
            match ask {
                Ask::Call {
                    call,
                    host,
                    request,
                    bodies,
                } => self.ask(call, host, request, bodies),
                Ask::Cancel { call } => self.cancel(call),
            }
        }
        self.plan_clients();
    }

    /// Sees to it that the clients are woken when they want to be.
    pub(super) fn plan_clients(&mut self) {
        let Some(wake) = self.workload.next_wake() else {
            return;
        };
        let wake = wake.max(self.now);
        if self
            .clients_planned
            .is_none_or(|planned| planned > wake || planned < self.now)
        {
            self.clients_planned = Some(wake);
            self.schedule.at(wake, Event::Clients);
        }
    }

    fn ask(&mut self, call: CallId, host: HostId, request: HostRequest, bodies: Vec<Bytes>) {
        let what = self.trace.text(|| match &request {
            HostRequest::Execute { request, .. } => format!("{} {:?}", request.id, request.command),
            other => format!("{other:?}"),
        });
        self.trace.note(self.now, &Note::Asks { call, host, what });
        let arrives = SimTime(self.now.0 + self.network.client_latency());
        let outstanding = Outstanding { host, arrives };
        self.outstanding.insert(call, outstanding);
        let request = Box::new(request);
        self.schedule.at(
            arrives,
            Event::CallArrives {
                call,
                host,
                request,
                bodies,
            },
        );
    }

    pub(super) fn call_arrives(
        &mut self,
        call: CallId,
        id: HostId,
        request: Box<HostRequest>,
        bodies: Vec<Bytes>,
    ) {
        let host = &self.hosts[&id];
        if !host.powered || host.client_cuts > 0 {
            return self.break_call_later(call, true);
        }
        let Some(process) = &host.process else {
            return self.break_call_later(call, false);
        };
        let (frozen, held) = (host.frozen, !process.core.engine().takes_commands());
        if frozen {
            self.break_call_later(call, true);
        }
        let HostRequest::Execute { request: asked, .. } = &*request else {
            unreachable!("clients execute commands");
        };
        let caller = Caller::Client {
            call,
            request: Box::new(asked.clone()),
            since: self.now,
            held,
        };
        let operation = self.next_operation();
        self.give(
            id,
            Input::Call {
                operation,
                caller,
                request,
                bodies,
            },
        );
    }

    pub(super) fn next_operation(&mut self) -> OperationId {
        self.operations += 1;
        OperationId(self.operations)
    }

    /// The client of a call learns that its connection is gone: at once where somebody tells it, else
    /// when it has waited for long enough.
    pub(super) fn break_call_later(&mut self, call: CallId, silently: bool) {
        let after = if silently {
            CLIENT_SILENCE + self.network.any(CLIENT_SILENCE_SPREAD)
        } else {
            self.network.client_latency()
        };
        let at = SimTime(self.now.0 + after);
        self.schedule.at(at, Event::CallBreaks { call });
    }

    /// All calls at a host are going to break.
    pub(super) fn break_calls_at(&mut self, id: HostId, silently: bool) {
        let at_host = self.outstanding.iter().filter(|(_, call)| call.host == id);
        let calls: Vec<CallId> = at_host.map(|(call, _)| *call).collect();
        for call in calls {
            self.break_call_later(call, silently);
        }
    }

    /// A host's process stands still, or clients do not reach it: whoever waits gives up after a while,
    /// if that is still so.
    pub(super) fn clients_hear_nothing_of(&mut self, id: HostId) {
        let at = SimTime(self.now.0 + CLIENT_SILENCE + self.network.any(CLIENT_SILENCE_SPREAD));
        self.schedule.at(at, Event::ClientsGiveUp { host: id });
    }

    pub(super) fn clients_give_up(&mut self, id: HostId) {
        let host = &self.hosts[&id];
        if host.frozen || host.client_cuts > 0 {
            self.break_calls_at(id, false);
        }
    }

    pub(super) fn call_breaks(&mut self, call: CallId) {
        if let Some(outstanding) = self.outstanding.get(&call) {
            let host = outstanding.host;
            self.reached.note(Sometimes::CallBroken);
            self.tell(call, Told::Broken);
            // The host notices as well.
            self.give(host, Input::Cancel(call));
        }
    }

    fn cancel(&mut self, call: CallId) {
        self.trace.note(self.now, &Note::Cancelled { call });
        let Some(outstanding) = self.outstanding.remove(&call) else {
            return;
        };
        let at = SimTime(self.now.0 + self.network.client_latency());
        let at = at.max(SimTime(outstanding.arrives.0 + 1));
        let host = outstanding.host;
        self.schedule.at(at, Event::CancelArrives { call, host });
    }

    pub(super) fn cancel_arrives(&mut self, call: CallId, id: HostId) {
        if self.hosts[&id].powered {
            self.give(id, Input::Cancel(call));
        }
    }

    /// A host answers; bodies that are not in its memory are read first.
    pub(super) fn answer(&mut self, id: HostId, operation: OperationId, answer: Answer) {
        let process = self
            .hosts
            .get_mut(&id)
            .expect("one of ours")
            .process
            .as_mut();
        let Some(caller) = process.and_then(|process| process.callers.remove(&operation)) else {
            return;
        };
        self.note_answer(id, &caller, &answer.result);
        match caller {
            Caller::Manager { right } => self.manager_told(id, right, &answer.result),
            Caller::Members(call) => self.members_told(id, &call, &answer.result),
            Caller::Successor(said) => self.telling_answered(*said, answer.result),
            Caller::Source(brought) => self.carriage_answered(*brought, answer.result),
            caller @ Caller::Client { .. } => {
                let in_memory = |body: &StoredBody| matches!(body, StoredBody::Recent(_));
                let in_memory = answer.bodies.iter().all(in_memory);
                let life = self.hosts[&id].process.as_ref().map_or(0, |p| p.life);
                let event = Event::AnswerRead(Box::new(ToBeRead {
                    host: id,
                    life,
                    operation,
                    caller,
                    answer,
                }));
                if in_memory {
                    return self.schedule.at(self.now, event);
                }
                self.reached.note(Sometimes::BodyFromLog);
                let at = self.read_ends(id);
                self.schedule.at(at, event);
            }
        }
    }

    pub(super) fn answer_arrives(&mut self, call: CallId, told: Told) {
        if self.outstanding.contains_key(&call) {
            self.tell(call, told);
        }
    }

    fn tell(&mut self, call: CallId, told: Told) {
        self.outstanding.remove(&call);
        let what = self.trace.text(|| match &told {
            Told::Outcome(outcome, _) => format!("{outcome:?}"),
            Told::Refused(refusal) => format!("no, {refusal} (applied: {:?})", refusal.applied),
            Told::Broken => "the connection broke".to_owned(),
        });
        self.trace.note(self.now, &Note::Told { call, what });
        if matches!(told, Told::Outcome(..)) {
            self.summary.answered += 1;
        }
        let wall = self.client_wall();
        let asks = self.workload.on_told(call, told, self.now, wall);
        self.carry_out_asks(asks);
    }

    /// A view that a host tells its frontends of.
    pub(super) fn view_told(&mut self, view: &shoal_types::ViewSummary) {
        self.workload.on_view(view);
        self.plan_clients();
    }
}

/// How long a pushed view may take to reach the clients.
pub(super) const PUSH_SPREAD: u64 = 5 * MS;
