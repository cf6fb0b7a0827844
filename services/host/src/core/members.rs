//! The manager's orders about who belongs to the cluster.

use shoal_replication::{ChangeError, ChangeState, Forgotten, LearnError};
use shoal_types::{ClusterSpec, ErrorCode, HostId, HostReply, Refusal, ViewNumber};

use super::outputs::Deferred;
use super::{Answer, Core, OperationId};
use crate::limits;

impl Core {
    /// Forms a cluster; answered once that is durable.
    pub(super) fn form(&mut self, operation: OperationId, spec: &ClusterSpec) {
        match self.engine.form(spec, self.now) {
            Ok(()) => self.answer_when_durable(operation, HostReply::Formed),
            Err(error) => self.refuse(operation, ErrorCode::Fenced, error.to_string()),
        }
    }

    /// Begins to follow a cluster; answered once that is durable.
    pub(super) fn learn(&mut self, operation: OperationId, spec: &ClusterSpec) {
        match self.engine.learn(spec, self.now) {
            Ok(()) => self.answer_when_durable(operation, HostReply::Learning),
            Err(error) => {
                let code = match error {
                    LearnError::BadList | LearnError::NotListed => ErrorCode::InvalidRequest,
                    _ => ErrorCode::Fenced,
                };
                self.refuse(operation, code, error.to_string());
            }
        }
    }

    /// Sees to a change of the members; answered once it has come about or is given up.
    pub(super) fn change_members(&mut self, operation: OperationId, spec: ClusterSpec) {
        if self.changes.len() >= limits::CHANGES_WAITING_MAX {
            let why = "too many wait for a change of the members";
            return self.refuse(operation, ErrorCode::Busy, why.to_owned());
        }
        match self.engine.change_members(&spec, self.now) {
            Ok(()) => {
                self.pump();
                self.changes.push((operation, spec));
            }
            Err(error) => self.refuse_change(operation, &error),
        }
    }

    /// Answers those whose change has come about, or will not.
    pub(super) fn answer_changes(&mut self) {
        if self.changes.is_empty() {
            return;
        }
        for (operation, spec) in std::mem::take(&mut self.changes) {
            match self.engine.change_state(&spec) {
                ChangeState::Pending => self.changes.push((operation, spec)),
                ChangeState::Done => {
                    self.answer(operation, Answer::reply(HostReply::MembersChanged));
                }
                ChangeState::GivenUp(error) => self.refuse_change(operation, &error),
            }
        }
    }

    /// A peer's question cannot be answered from this host's log.
    pub fn on_not_in_log(&mut self, peer: HostId, view: ViewNumber) {
        if self.receiving.installing {
            return;
        }
        self.engine.handle_not_in_log(peer, view, self.now);
        self.pump();
    }

    /// This host is no member any more: what became of its last entries it will never know.
    pub(super) fn removed(&mut self) {
        self.end_of_operations(
            "this host was removed from its cluster before the command was executed",
        );
    }

    /// Others remember more of this host than it knows. It stays up to say so, and does nothing else.
    pub(super) fn forgotten(&mut self, why: Forgotten) {
        tracing::error!(%why, "refused by the members of this host's cluster");
        self.end_of_operations(
            "this host was refused by its cluster before the command was executed",
        );
    }

    fn end_of_operations(&mut self, why: &'static str) {
        self.own.clear();
        self.meter.all_dropped();
        // A receive that waits may have been given messages since, in what this host will not execute.
        let in_flight = self.operations.take_in_flight();
        let waiting = self.operations.take_waiting();
        for operation in in_flight.into_iter().chain(waiting) {
            let refusal = Refusal::unknown(ErrorCode::NotReady, why);
            self.answer(operation, Answer::refused(refusal));
        }
    }

    fn refuse_change(&mut self, operation: OperationId, error: &ChangeError) {
        let code = match error {
            ChangeError::BadList | ChangeError::MoreThanOne => ErrorCode::InvalidRequest,
            ChangeError::OtherCluster(_) => ErrorCode::StaleRoute,
            ChangeError::Stale(_) => ErrorCode::Fenced,
            ChangeError::NotMember | ChangeError::NewcomerSilent | ChangeError::NotDecided => {
                ErrorCode::NotReady
            }
        };
        // A member may have voted for it: then it comes about all the same.
        let refusal = match error {
            ChangeError::NewcomerSilent | ChangeError::NotDecided => {
                Refusal::unknown(code, error.to_string())
            }
            _ => Refusal::not_applied(code, error.to_string()),
        };
        self.answer(operation, Answer::refused(refusal));
    }

    fn refuse(&mut self, operation: OperationId, code: ErrorCode, why: String) {
        let refusal = Refusal::not_applied(code, why);
        self.answer(operation, Answer::refused(refusal));
    }

    fn answer_when_durable(&mut self, operation: OperationId, reply: HostReply) {
        self.pump();
        let (after, answer) = (self.last_record, Answer::reply(reply));
        if after <= self.persisted {
            self.answer(operation, answer);
        } else {
            let waiting = Deferred::Answer(operation, answer);
            self.deferred.push((after, waiting));
        }
    }
}
