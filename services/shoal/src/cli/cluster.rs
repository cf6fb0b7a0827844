//! What can be said about clusters.

use clap::Subcommand;
use shoal_types::{ClusterId, HostId};

use super::{EndpointArgs, OperatorArgs};

#[derive(Subcommand)]
pub(crate) enum ClusterCommand {
    /// List the clusters
    List(EndpointArgs),
    /// Make a cluster of these hosts, once; they must be free and all reachable. Without any, one more
    /// cluster is made of free hosts that the manager chooses
    Form {
        #[command(flatten)]
        operator: OperatorArgs,
        /// Fewer than three hosts are meant
        #[arg(long)]
        yes: bool,
        /// Three or four hosts that belong to no cluster
        hosts: Vec<HostId>,
    },
    /// Make a free host a member of a cluster, while it serves
    Add {
        #[command(flatten)]
        operator: OperatorArgs,
        /// The cluster
        cluster: ClusterId,
        /// A host that belongs to no cluster
        host: HostId,
    },
    /// Say who takes a cluster's commands: one member alone, or all
    Active {
        #[command(flatten)]
        operator: OperatorArgs,
        /// The cluster
        cluster: ClusterId,
        /// This member alone, as long as it can; a quorum still has every command on disk
        #[arg(long, value_name = "HOST", required_unless_present = "all")]
        only: Option<HostId>,
        /// All members that can
        #[arg(long, conflicts_with = "only")]
        all: bool,
    },
    /// Have a cluster give its queues away; it is retired once it is empty
    Drain {
        #[command(flatten)]
        operator: OperatorArgs,
        /// Let it keep what it has, and take new queues again
        #[arg(long, conflicts_with = "forward")]
        cancel: bool,
        /// Send on at once what nobody consumes there; without it only when the manager's patience ends
        #[arg(long)]
        forward: bool,
        /// The cluster
        cluster: ClusterId,
    },
    /// Say how hot the clusters are, of what that consists, what is planned and why
    Explain {
        #[command(flatten)]
        operator: OperatorArgs,
        /// Only what concerns this cluster
        cluster: Option<ClusterId>,
    },
    /// List what the manager decided, why, and what came of it
    Events {
        #[command(flatten)]
        operator: OperatorArgs,
        /// Those after this number, instead of the newest
        #[arg(long, value_name = "NUMBER")]
        after: Option<u64>,
        /// At most so many, up to 1,000
        #[arg(long, value_name = "N")]
        limit: Option<u64>,
    },
    /// Remove a member from a cluster, for good, while it serves
    Shrink {
        #[command(flatten)]
        operator: OperatorArgs,
        /// Fewer than three members are meant
        #[arg(long)]
        yes: bool,
        /// The cluster
        cluster: ClusterId,
        /// The member
        host: HostId,
    },
}
