//! Formation: view 1 is written once, by an explicit order that lists who belongs to the cluster.

/// Why a cluster was not formed here.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// The host belongs to a cluster already, formed with another list.
    #[error("the host was formed into cluster {0} with another list of members")]
    FormedOtherwise(shoal_types::ClusterId),
    /// The list does not name this host.
    #[error("the list of members does not name this host")]
    NotListed,
    /// The list is empty, too long, not sorted, or names a host twice.
    #[error("a cluster has 1 to 5 members, sorted by id, each once")]
    BadList,
}
