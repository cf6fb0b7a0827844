//! A cluster: who belongs to it, and whether all of them know.

use serde::{Deserialize, Serialize};
use shoal_types::{ClusterId, ClusterMember, ClusterRoute, ClusterSpec, HostId, Revision, Ts};

use super::{At, Record};
use crate::keys;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ClusterRecord {
    pub(crate) cluster: ClusterId,
    pub(crate) stage: ClusterStage,
    /// Sorted by host; addresses as last heard.
    pub(crate) members: Vec<ClusterMember>,
    /// Why these hosts, in the planner's words.
    pub(crate) reason: String,
    /// When it was decided, by the manager's clock.
    pub(crate) created_at: Ts,
    /// The member that alone is to write, if an operator wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) only: Option<HostId>,
    /// While it is drained: what nobody consumes there is forwarded at once, without any patience.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(crate) forward: bool,
    /// What an operator wants changed, until it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<ChangeRecord>,
    /// The revision of the list by which its hosts became these `members`; 0 if they never changed. The
    /// record's own grows with every address. `None`: an earlier release wrote it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) listed: Option<Revision>,
}

/// A change of a cluster's members. `members` above are those before its first step; each step that the
/// cluster has carried out is taken off and put into effect there, in one transaction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ChangeRecord {
    /// What is still to be done; never empty.
    pub(crate) steps: Vec<Step>,
    /// When it was asked for, by the manager's clock.
    pub(crate) asked_at: Ts,
}

/// One step of a change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// One member more.
    Add(ClusterMember),
    /// This member alone writes, or all that can.
    Only(Option<HostId>),
    /// One member less. It may be none already: then this ends an addition that did not come about.
    Remove(HostId),
}

impl Step {
    /// The host that comes or goes, if one does.
    pub(crate) fn host(&self) -> Option<HostId> {
        match self {
            Self::Add(member) => Some(member.host),
            Self::Remove(host) => Some(*host),
            Self::Only(_) => None,
        }
    }

    /// True if both do the same, whatever the newcomer's address.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Add(one), Self::Add(other)) => one.host == other.host,
            _ => self == other,
        }
    }
}

/// How far a cluster is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum ClusterStage {
    /// Decided; not all its hosts have confirmed yet.
    Forming,
    /// All have. Whether enough of them are alive is another question.
    Formed,
    /// An operator wants it empty: it keeps the queues that it has until they are moved away.
    Draining,
    /// It had nothing left and serves nobody any more. Its hosts cannot be members of another one: they
    /// remember this one.
    Retired,
}

impl ClusterStage {
    /// True if queues are there, or may be placed there.
    pub(crate) fn has_queues(self) -> bool {
        matches!(self, Self::Formed | Self::Draining)
    }
}

impl Record for ClusterRecord {
    fn key(&self) -> String {
        keys::cluster(self.cluster)
    }
}

impl ClusterRecord {
    /// What its hosts are told.
    pub(crate) fn spec(&self, revision: Revision) -> ClusterSpec {
        ClusterSpec {
            cluster: self.cluster,
            members: self.members.clone(),
            revision,
            only: self.only,
        }
    }

    /// The step to be carried out next.
    pub(crate) fn step(&self) -> Option<&Step> {
        self.change.as_ref()?.steps.first()
    }

    /// The members after a step.
    pub(crate) fn members_after(&self, step: &Step) -> Vec<ClusterMember> {
        let mut members = self.members.clone();
        members.retain(|member| Some(member.host) != step.host());
        if let Step::Add(member) = step {
            members.push(member.clone());
            members.sort_by_key(|member| member.host);
        }
        members
    }

    /// The member that alone is to write after a step.
    pub(crate) fn only_after(&self, step: &Step) -> Option<HostId> {
        match step {
            Step::Only(only) => *only,
            Step::Remove(host) => self.only.filter(|only| only != host),
            Step::Add(_) => self.only,
        }
    }

    /// The record after its first step was carried out, of which the hosts were told with this revision.
    pub(crate) fn after_step(mut self, told: Revision) -> Self {
        let Some(step) = self.step().cloned() else {
            return self;
        };
        self.members = self.members_after(&step);
        self.only = self.only_after(&step);
        self.listed = Some(told);
        if let Some(change) = &mut self.change {
            change.steps.remove(0);
        }
        self.change.take_if(|change| change.steps.is_empty());
        self
    }
}

impl At<ClusterRecord> {
    /// True if these are the members and who of them writes, or its hosts have no later list.
    pub(crate) fn is_as_new_as(&self, told: &ClusterSpec) -> bool {
        let hosts = |members: &[ClusterMember]| -> Vec<HostId> {
            members.iter().map(|member| member.host).collect()
        };
        let ClusterRecord { members, only, .. } = &self.record;
        let is_same = hosts(members) == hosts(&told.members) && *only == told.only;
        is_same || self.record.listed.unwrap_or(self.revision) >= told.revision
    }

    /// What the hosts are to be told so that the next step comes about. The revision is that of the record
    /// which says so: a later decision has a higher one.
    pub(crate) fn next_spec(&self) -> Option<ClusterSpec> {
        let step = self.record.step()?;
        Some(ClusterSpec {
            cluster: self.record.cluster,
            members: self.record.members_after(step),
            revision: self.revision,
            only: self.record.only_after(step),
        })
    }

    /// What frontends are told.
    pub(crate) fn route(&self) -> ClusterRoute {
        ClusterRoute {
            cluster: self.record.cluster,
            members: self.record.members.clone(),
            revision: self.revision,
        }
    }
}
