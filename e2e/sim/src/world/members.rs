//! The manager's orders about who belongs to the cluster: it adds, removes and replaces members, asks
//! again wherever it got no answer, and gives up at some time. What came of it the world sees by the
//! views that hosts install.

use shoal_replication::View;
use shoal_types::{
    ClusterMember, ClusterSpec, ErrorCode, HostId, HostReply, HostRequest, HostState, Refusal,
    Revision, ViewNumber,
};

use super::host::{Caller, Host, Input};
use super::manager::spec_of;
use super::{Event, World};
use crate::actions::Action;
use crate::checkers::Checker;
use crate::history::SimTime;
use crate::limits::{CLOCK_ERROR_MAX, MS, SECOND};
use crate::options::Options;
use crate::sometimes::Sometimes;

/// An order is asked for again elsewhere after so long without an answer …
const ASK_AGAIN: u64 = 3 * SECOND;
/// … and given up after so long.
const GIVE_UP_AFTER: u64 = 30 * SECOND;
/// Members are removed only while more than so many would be left, so that one may fail.
const MEMBERS_MIN: usize = 3;
/// A cluster has no more members.
const MEMBERS_MAX: usize = 5;

/// Who belongs to the cluster, as the world sees it.
pub(super) struct Members {
    /// Lists of members that somebody may still go by, and the view of each; the last one is in force.
    lists: Vec<(ViewNumber, ClusterSpec)>,
    /// Every list that was ever in force, by revision.
    decided: Vec<Revision>,
    /// Lists that were ordered and may yet come about.
    ordered: Vec<ClusterSpec>,
    order: Option<Order>,
    /// The highest revision given to an order.
    revision: u64,
    /// Members that were removed; `true`: it was down then and did not hear of it.
    removed: Vec<(HostId, bool)>,
}

/// What the manager is at.
struct Order {
    spec: ClusterSpec,
    newcomer: Option<HostId>,
    since: SimTime,
    asked_at: Option<SimTime>,
}

/// What the manager asked a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum MemberCall {
    /// To follow the cluster.
    Learn,
    /// To see to these members.
    Change(ClusterSpec),
}

impl Members {
    pub(super) fn new(options: &Options) -> Self {
        Self {
            lists: vec![(ViewNumber(1), spec_of(options))],
            decided: vec![Revision(1)],
            ordered: Vec::new(),
            order: None,
            revision: 1,
            removed: Vec::new(),
        }
    }

    fn latest(&self) -> &(ViewNumber, ClusterSpec) {
        self.lists.last().expect("there is one from the beginning")
    }

    /// The members of the last list that was decided.
    pub(super) fn now(&self) -> Vec<HostId> {
        hosts(&self.latest().1)
    }

    /// True if the members are not those of the formation any more.
    pub(super) fn have_changed(&self) -> bool {
        self.latest().1.revision > Revision(1)
    }

    /// True if none of the lists that may count would be left without a quorum if these hosts failed.
    pub(super) fn bear(&self, failed: &[HostId]) -> bool {
        let decided = self.lists.iter().map(|(_, spec)| spec);
        decided
            .chain(&self.ordered)
            .all(|spec| has_quorum_without(spec, failed))
    }
}

fn has_quorum_without(spec: &ClusterSpec, failed: &[HostId]) -> bool {
    let lost = spec.members.iter().filter(|m| failed.contains(&m.host));
    lost.count() <= (spec.members.len() - 1) / 2
}

fn hosts(spec: &ClusterSpec) -> Vec<HostId> {
    spec.members.iter().map(|member| member.host).collect()
}

impl World {
    /// Hosts whose data or clocks cannot be relied on in this run.
    pub(super) fn failed_hosts(&self) -> Vec<HostId> {
        let is_far = |host: &Host| host.clock.ahead().unsigned_abs() > CLOCK_ERROR_MAX;
        let failed = self
            .hosts
            .values()
            .filter(|host| host.damaged || host.set_back || host.away || is_far(host));
        failed.map(|host| host.id).collect()
    }

    pub(super) fn all_hosts(&self) -> Vec<HostId> {
        self.hosts.keys().copied().collect()
    }

    /// A host installed a view.
    pub(super) fn note_members(&mut self, view: &View) {
        let Some(spec) = view.spec.as_deref() else {
            return;
        };
        let members = &mut self.members;
        if view.number <= members.latest().0 || spec.revision <= members.latest().1.revision {
            return;
        }
        let (before, after) = (members.now(), hosts(spec));
        members.lists.push((view.number, spec.clone()));
        members.decided.push(spec.revision);
        members
            .ordered
            .retain(|ordered| ordered.revision > spec.revision);
        for removed in before.iter().filter(|host| !after.contains(host)) {
            self.reached.note(Sometimes::MemberRemoved);
            let was_down = self.hosts[removed].process.is_none();
            self.members.removed.push((*removed, was_down));
            self.workload.host_is_gone(*removed);
        }
        if after.iter().any(|host| !before.contains(host)) {
            self.reached.note(Sometimes::MemberAdded);
        }
    }

    /// Looks what became of earlier lists and of hosts that were removed.
    pub(super) fn look_at_members(&mut self) {
        let (number, spec) = self.members.latest();
        let acts = |id: &HostId| {
            let process = self.hosts[id].process.as_ref();
            process.is_some_and(|process| {
                let engine = process.core.engine();
                process.core.state() == HostState::Acting && engine.view().number >= *number
            })
        };
        let acting = hosts(spec).iter().filter(|id| acts(id)).count();
        if acting > spec.members.len() / 2 {
            let last = self.members.lists.len() - 1;
            self.members.lists.drain(..last);
        }
        let knows = |id: &HostId| {
            let process = self.hosts[id].process.as_ref();
            process.is_some_and(|process| process.core.state() == HostState::Removed)
        };
        let known: Vec<bool> = self
            .members
            .removed
            .iter()
            .map(|(id, _)| knows(id))
            .collect();
        for ((_, was_down), knows) in self.members.removed.iter_mut().zip(known) {
            if knows && std::mem::take(was_down) {
                self.reached.note(Sometimes::RemovedLearnedLate);
            }
        }
    }

    // ---- the manager ----

    /// The manager looks after the members, now and then, until the faults end.
    pub(super) fn manage_members(&mut self) {
        if self.is_settling() {
            return;
        }
        let formed = |id: &HostId| self.hosts[id].formed || self.hosts[id].away;
        let pause = if !self.options.hosts.iter().all(formed) {
            SECOND
        } else if self.members.order.is_some() {
            self.pursue_order();
            100 * MS
        } else {
            self.give_order();
            100 * MS
        };
        let pause = match self.members.order {
            Some(_) => pause,
            None => {
                let every = self.options.members.every;
                pause + self.manager_random.range(every / 4..every * 7 / 4)
            }
        };
        self.schedule
            .at(SimTime(self.now.0 + pause), Event::ManageMembers);
    }

    fn give_order(&mut self) {
        let present = self.members.latest().1.clone();
        if self.manager_random.one_in(6) && self.members.have_changed() {
            return self.give_stale_order(&present);
        }
        let Some((members, newcomer)) = self.other_members(&present) else {
            return;
        };
        self.members.revision += 1;
        let revision = Revision(self.members.revision);
        let spec = ClusterSpec {
            members,
            revision,
            ..present
        };
        if !has_quorum_without(&spec, &self.failed_hosts()) {
            return;
        }
        self.members.ordered.push(spec.clone());
        self.members.order = Some(Order {
            spec,
            newcomer,
            since: self.now,
            asked_at: None,
        });
        if let Some(newcomer) = newcomer
            && self.manager_random.one_in(3)
        {
            self.plan_death_of(newcomer);
        }
        self.pursue_order();
    }

    /// A newcomer follows for a moment only, which drawn faults would seldom hit.
    fn plan_death_of(&mut self, newcomer: HostId) {
        let dies = self.now.0 + self.manager_random.magnitude(MS..SECOND);
        let back = dies + self.manager_random.magnitude(50 * MS..4 * SECOND);
        self.plan(SimTime(dies), Action::Kill(newcomer));
        self.plan(SimTime(back), Action::Start(newcomer));
    }

    /// One more or one less than these.
    fn other_members(
        &mut self,
        present: &ClusterSpec,
    ) -> Option<(Vec<ClusterMember>, Option<HostId>)> {
        let listed = hosts(present);
        let removed = |id: &HostId| self.members.removed.iter().any(|(host, _)| host == id);
        let spare: Vec<HostId> = self
            .options
            .members
            .spare
            .iter()
            .copied()
            .filter(|id| !listed.contains(id) && !removed(id) && !self.hosts[id].away)
            .collect();
        let may_add = !spare.is_empty() && listed.len() < MEMBERS_MAX;
        let may_remove = listed.len() > MEMBERS_MIN;
        let mut members = present.members.clone();
        if may_add && (!may_remove || self.manager_random.one_in(2)) {
            let host = *self.manager_random.choose(&spare);
            let address = String::new();
            members.push(ClusterMember { host, address });
            members.sort_by_key(|member| member.host);
            return Some((members, Some(host)));
        }
        if !may_remove {
            return None;
        }
        // Whoever failed goes first: that is what most removals are for.
        let failed = self.failed_hosts();
        let first = listed.iter().copied().find(|id| failed.contains(id));
        let any = *self.manager_random.choose(&listed);
        let down = listed
            .iter()
            .copied()
            .find(|id| self.hosts[id].process.is_none());
        let away = down.filter(|_| self.manager_random.one_in(2));
        let goes = first.or(away).unwrap_or(any);
        members.retain(|member| member.host != goes);
        Some((members, None))
    }

    /// An order from long ago arrives only now: the members of the formation, but for one.
    fn give_stale_order(&mut self, present: &ClusterSpec) {
        let mut spec = spec_of(&self.options);
        if hosts(&spec) == hosts(present) {
            return;
        }
        spec.revision = Revision(1);
        spec.members = present.members.clone();
        spec.members.pop();
        if !has_quorum_without(&spec, &self.failed_hosts()) {
            return;
        }
        let asked = *self.manager_random.choose(&hosts(present));
        self.order_members(asked, MemberCall::Change(spec.clone()), spec);
    }

    /// Asks the newcomer to follow and some member to see to the change, again and again.
    fn pursue_order(&mut self) {
        let Some(order) = &mut self.members.order else {
            return;
        };
        let given_up = self.now.0 > order.since.0 + GIVE_UP_AFTER;
        let overtaken = self
            .members
            .lists
            .iter()
            .any(|(_, list)| list.revision >= order.spec.revision);
        if given_up || overtaken {
            self.members.order = None;
            return;
        }
        let due = |at: SimTime| self.now.0 >= at.0 + ASK_AGAIN;
        if !order.asked_at.is_none_or(due) {
            return;
        }
        order.asked_at = Some(self.now);
        let (spec, newcomer) = (order.spec.clone(), order.newcomer);
        if let Some(newcomer) = newcomer {
            self.order_members(newcomer, MemberCall::Learn, spec.clone());
        }
        let asked = *self.manager_random.choose(&self.members.now());
        self.order_members(asked, MemberCall::Change(spec.clone()), spec);
    }

    fn order_members(&mut self, id: HostId, call: MemberCall, spec: ClusterSpec) {
        let host = &self.hosts[&id];
        if !host.powered || host.client_cuts > 0 {
            return;
        }
        let request = match call {
            MemberCall::Learn => HostRequest::Learn { spec },
            MemberCall::Change(_) => HostRequest::ChangeMembers { spec },
        };
        let operation = self.next_operation();
        let input = Input::Call {
            operation,
            caller: Caller::Members(call),
            request: Box::new(request),
            bodies: Vec::new(),
        };
        self.give(id, input);
    }

    pub(super) fn members_told(
        &mut self,
        id: HostId,
        call: &MemberCall,
        told: &Result<HostReply, Refusal>,
    ) {
        let decided = |spec: &ClusterSpec| {
            let known = self.members.decided.contains(&spec.revision);
            known && spec.revision > Revision(1)
        };
        match (call, told) {
            (MemberCall::Learn, Ok(HostReply::Learning)) => {}
            (MemberCall::Change(spec), Ok(HostReply::MembersChanged)) if decided(spec) => {}
            (_, Ok(told)) => {
                let what = format!("{id} answers {told:?} to {call:?}, which did not come about");
                self.violation(Checker::Assertions, what);
            }
            (MemberCall::Change(_), Err(refusal)) if refusal.code == ErrorCode::Fenced => {
                self.reached.note(Sometimes::ChangeRefusedStale);
            }
            // Another host may do better, or nobody can: it is asked again, then given up.
            (_, Err(_)) => {}
        }
    }
}
