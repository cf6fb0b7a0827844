//! Formation: view 1 is written once, by an explicit order that lists who belongs to the cluster.

use shoal_types::limits::CLUSTER_HOSTS;
use shoal_types::{ClusterSpec, Now};

use crate::{Engine, Forgotten, Output, Record, RecordNumber, View};

/// Why a cluster was not formed here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The host belongs to a cluster already (or is to), and its list of members is another one.
    #[error("the host belongs to cluster {0} with another list of members")]
    FormedOtherwise(shoal_types::ClusterId),
    /// The list does not name this host.
    #[error("the list of members does not name this host")]
    NotListed,
    /// The list is empty, too long, not sorted, or names a host twice.
    #[error("a cluster has 1 to 5 members, sorted by id, each once")]
    BadList,
    /// Members of a cluster remember more of this host than it knows.
    #[error("{0}")]
    Forgotten(Forgotten),
}

impl Engine {
    /// Forms a cluster: writes view 1, once. The same cluster and members again do nothing, whatever
    /// their addresses are by now.
    ///
    /// The members may be told at different times: one that is not formed yet hears nobody, and the
    /// others take it for silent until it is.
    ///
    /// # Errors
    /// If the host was formed otherwise, or the list is none.
    ///
    /// # Panics
    /// If the engine is not started.
    pub fn form(&mut self, spec: &ClusterSpec, now: Now) -> Result<(), FormError> {
        assert!(self.incarnation.0 > 0, "the engine is started before");
        self.begin_turn(now);
        if let Some(forgotten) = self.forgotten {
            return Err(FormError::Forgotten(forgotten));
        }
        if let Some(learning) = &self.membership.learning {
            return Err(FormError::FormedOtherwise(learning.cluster));
        }
        if let Some(formed) = &self.spec {
            return if same_hosts(formed, spec) {
                Ok(())
            } else {
                Err(FormError::FormedOtherwise(formed.cluster))
            };
        }
        if !is_list_of_members(spec) {
            return Err(FormError::BadList);
        }
        if !spec.members.iter().any(|m| m.host == self.config.me) {
            return Err(FormError::NotListed);
        }
        let record = self.persist(Record::Formed { spec: spec.clone() });
        self.formed(spec.clone(), record);
        self.listen_from(now.mono);
        self.settle();
        Ok(())
    }

    /// Enters view 1.
    pub(crate) fn formed(&mut self, spec: ClusterSpec, record: RecordNumber) {
        let first = View::first(&spec);
        self.spec = Some(spec);
        self.enter(first.clone(), vec![0; first.members.len()], record, &[]);
        self.outputs
            .push_back(Output::ViewInstalled { view: first });
    }
}

/// True if the list is one of members at all, and the only writer, if one is named, is among them.
pub(crate) fn is_list_of_members(spec: &ClusterSpec) -> bool {
    let sorted = spec.members.windows(2).all(|two| two[0].host < two[1].host);
    let is_member = |host| spec.members.iter().any(|m| m.host == host);
    sorted && CLUSTER_HOSTS.contains(&spec.members.len()) && spec.only.is_none_or(is_member)
}

fn same_hosts(a: &ClusterSpec, b: &ClusterSpec) -> bool {
    let hosts = |spec: &ClusterSpec| -> Vec<_> { spec.members.iter().map(|m| m.host).collect() };
    a.cluster == b.cluster && hosts(a) == hosts(b)
}
