//! The manager, as far as hosts see it: it tells each of them to form the cluster until it has heard
//! that it did, and sometimes says so again.

use shoal_types::{
    ClusterMember, ClusterSpec, ErrorCode, HostId, HostReply, HostRequest, Refusal, Revision,
};

use super::host::{Caller, Input};
use super::{CLUSTER, Event, World};
use crate::checkers::Checker;
use crate::history::SimTime;
use crate::limits::{FORM_AGAIN, SECOND};
use crate::options::Options;
use crate::sometimes::Sometimes;

/// The cluster of a run.
pub(super) fn spec_of(options: &Options) -> ClusterSpec {
    let member = |host: &HostId| ClusterMember {
        host: *host,
        address: String::new(),
    };
    ClusterSpec {
        cluster: CLUSTER,
        members: options.hosts.iter().map(member).collect(),
        revision: Revision(1),
        only: None,
    }
}

impl World {
    /// The manager tells a host to form, and does so again until it knows that it has.
    pub(super) fn form(&mut self, id: HostId) {
        let host = &self.hosts[&id];
        if host.formed && self.is_settling() {
            return;
        }
        if host.powered && host.client_cuts == 0 {
            let mut spec = spec_of(&self.options);
            let right = !host.formed || !self.manager_random.one_in(4);
            if !right {
                spec.members.pop();
            }
            let operation = self.next_operation();
            let input = Input::Call {
                operation,
                caller: Caller::Manager { right },
                request: Box::new(HostRequest::Form { spec }),
                bodies: Vec::new(),
            };
            self.give(id, input);
        }
        let pause = if self.hosts[&id].formed {
            self.manager_random.magnitude(SECOND..40 * SECOND)
        } else {
            FORM_AGAIN
        };
        self.schedule
            .at(SimTime(self.now.0 + pause), Event::Form { host: id });
    }

    pub(super) fn manager_told(
        &mut self,
        id: HostId,
        right: bool,
        told: &Result<HostReply, Refusal>,
    ) {
        let changed = self.members.have_changed();
        let host = self.hosts.get_mut(&id).expect("one of ours");
        let again = host.formed;
        host.formed |= told.is_ok();
        match (right, told) {
            (true, Ok(HostReply::Formed)) if again => self.reached.note(Sometimes::FormedAgain),
            (true, Ok(HostReply::Formed)) => {
                let first = self.options.formation.values().min().copied().unwrap_or(0);
                if self.now.0 > first + SECOND {
                    self.reached.note(Sometimes::FormedLate);
                }
            }
            (false, Err(_)) => self.reached.note(Sometimes::FormedOtherwiseRefused),
            // Its members are others by now than the formation says.
            (true, Err(_)) if again && changed => {}
            // It is busy with itself, about to go on from a snapshot for one: the manager asks again.
            (true, Err(refusal)) if again && refusal.code == ErrorCode::NotReady => {}
            // And may be those that the other list has.
            (false, Ok(HostReply::Formed)) if again && changed => {}
            // It does not know that it was formed before, and the others refuse it for that.
            _ if host.set_back => {}
            (_, told) => {
                self.violation(
                    Checker::Assertions,
                    format!("{id} answers {told:?} to the manager"),
                );
            }
        }
    }
}
