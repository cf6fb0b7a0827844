//! The command line: what can be said, with its help texts.

mod cluster;
mod queue;

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use shoal_types::{ClusterId, HostId, PartitionId, QueueName};

pub(crate) use cluster::ClusterCommand;
pub(crate) use queue::{QueueCommand, QueueSettingsArgs, RedriveArgs};

/// A rehearsal of the next release calls itself so: nobody takes it for a release.
const VERSION: &str = if shoal_host::NEXT_RELEASE {
    concat!(env!("CARGO_PKG_VERSION"), "+next-release")
} else {
    env!("CARGO_PKG_VERSION")
};

/// A distributed message queue that you can run yourself and lose any host of without noticing.
#[derive(Parser)]
#[command(
    name = "shoal",
    version = VERSION,
    propagate_version = true,
    max_term_width = 100
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Run a whole system on this machine: manager, frontend and clusters of hosts
    Dev(DevArgs),
    /// Run one host of a cluster, or list and replace hosts
    #[command(args_conflicts_with_subcommands = true)]
    Host(HostArgs),
    /// Run a frontend: REST and SQS in, any host of the queue's cluster out
    Frontend(FrontendArgs),
    /// Run the queue-cluster manager
    Manager(ManagerArgs),
    /// Create, list, show, change, purge and delete queues, and move dead letters
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Send a message; the body is an argument, a file or standard input
    Send(SendArgs),
    /// Receive messages
    Receive(ReceiveArgs),
    /// Acknowledge received messages, which deletes them
    Ack(AckArgs),
    /// List, form and change the clusters
    #[command(subcommand)]
    Cluster(ClusterCommand),
    /// List the moves, splits and merges of queues that are under way, or start one
    #[command(subcommand)]
    Move(MoveCommand),
    /// Ask the process on this machine whether it is alive, or ready
    Health(crate::health::HealthArgs),
    /// Try the service as a client: a message goes through a queue of its own, by REST and by SQS
    Smoke(crate::smoke::SmokeArgs),
    /// Look into the data folder of a host that does not run: is everything there and sound?
    Doctor(crate::doctor::DoctorArgs),
    /// Send and receive under a load in which every message is accounted for
    LoadTest(shoal_load_test::Args),
}

#[derive(Args)]
pub(crate) struct DevArgs {
    /// Folder that keeps everything
    #[arg(long, default_value = "shoal-data", conflicts_with = "ephemeral")]
    pub(crate) data: PathBuf,
    /// Clusters
    #[arg(long, default_value_t = 2)]
    pub(crate) clusters: usize,
    /// Hosts of each cluster
    #[arg(long, default_value_t = 3)]
    pub(crate) hosts: usize,
    /// Where the frontend listens. With port 9324 all other ports are the documented ones, otherwise
    /// free ones
    #[arg(long, default_value = "127.0.0.1:9324")]
    pub(crate) listen: SocketAddr,
    /// Keep nothing: the data is deleted at the end
    #[arg(long)]
    pub(crate) ephemeral: bool,
    /// Run every role as a process of its own, to kill and start again one by one
    #[arg(long)]
    pub(crate) processes: bool,
}

/// What every role takes besides its settings.
#[derive(Args)]
pub(crate) struct SettingsArgs {
    /// TOML file with settings
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print every setting with where its value comes from, and end
    #[arg(long)]
    pub(crate) dump_config: bool,
}

#[derive(Args)]
pub(crate) struct HostArgs {
    #[command(subcommand)]
    pub(crate) command: Option<HostCommand>,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Folder for the log, the checkpoint and the identity
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Where peers, frontends and the manager connect
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// What others should dial, NAME:PORT
    #[arg(long)]
    pub(crate) advertise: Option<String>,
    /// Health, readiness and metrics
    #[arg(long)]
    pub(crate) admin: Option<SocketAddr>,
    /// The manager's address, http://…
    #[arg(long)]
    pub(crate) manager: Option<String>,
    /// Where the host stands
    #[arg(long)]
    pub(crate) zone: Option<String>,
    /// Only hosts of one pool form a cluster or replace each other
    #[arg(long, value_name = "NAME")]
    pub(crate) pool: Option<String>,
    /// How much it can do against an ordinary host, which has 1
    #[arg(long)]
    pub(crate) capacity: Option<u32>,
    /// Bytes of one log segment
    #[arg(long)]
    pub(crate) segment_bytes: Option<u32>,
    /// Bytes that the log may take
    #[arg(long)]
    pub(crate) log_bytes_max: Option<u64>,
}

#[derive(Subcommand)]
pub(crate) enum HostCommand {
    /// List the hosts that the manager knows
    List(EndpointArgs),
    /// Put a free host into the place of a member that is lost, while the cluster serves
    Replace(ReplaceArgs),
}

#[derive(Args)]
pub(crate) struct ReplaceArgs {
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
    /// The member that goes, for good
    pub(crate) old: HostId,
    /// A host that belongs to no cluster
    pub(crate) new: HostId,
}

#[derive(Args)]
pub(crate) struct FrontendArgs {
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Where clients connect
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Health, readiness and metrics
    #[arg(long)]
    pub(crate) admin: Option<SocketAddr>,
    /// The manager's address, http://…
    #[arg(long)]
    pub(crate) manager: Option<String>,
    /// Whose requests of SQS are taken: none, any, or a key file
    #[arg(long)]
    pub(crate) credentials: Option<String>,
    /// What SQS's queue URLs begin with, if not the address by which clients come
    #[arg(long)]
    pub(crate) public_url: Option<String>,
    /// Seconds for which SQS's PurgeQueue refuses to purge a queue again
    #[arg(long)]
    pub(crate) purge_pause_s: Option<u32>,
    /// Milliseconds for which it still serves after it was told to stop, and asks clients to go elsewhere
    #[arg(long)]
    pub(crate) drain_ms: Option<u32>,
}

#[derive(Args)]
pub(crate) struct ManagerArgs {
    #[command(subcommand)]
    pub(crate) command: Option<ManagerCommand>,
    #[command(flatten)]
    pub(crate) settings: SettingsArgs,
    /// Folder for the metadata
    #[arg(long)]
    pub(crate) data: Option<PathBuf>,
    /// Where hosts and frontends connect
    #[arg(long)]
    pub(crate) listen: Option<SocketAddr>,
    /// Health, readiness and metrics
    #[arg(long)]
    pub(crate) admin: Option<SocketAddr>,
    /// Hosts of each cluster that is formed
    #[arg(long)]
    pub(crate) cluster_size: Option<usize>,
    /// Milliseconds that the manager listens first to hosts that may know more than its store; 0: not at all
    #[arg(long)]
    pub(crate) first_look_ms: Option<u32>,
}

#[derive(Subcommand)]
pub(crate) enum ManagerCommand {
    /// Rebuild the store of a running manager from what the hosts report: it was lost, or is an old copy
    Rebuild(RebuildArgs),
}

#[derive(Args)]
pub(crate) struct RebuildArgs {
    #[command(flatten)]
    pub(crate) operator: OperatorArgs,
    /// A cluster of which no host answers and none will; its messages are given up. May be repeated
    #[arg(long, value_name = "CLUSTER")]
    pub(crate) without: Vec<ClusterId>,
    /// Only say what would be done
    #[arg(long)]
    pub(crate) look: bool,
}

/// Which system a command talks to and how it prints.
#[derive(Args, Clone)]
pub(crate) struct EndpointArgs {
    /// A frontend's address, or those of several with commas between them
    #[arg(long, env = "SHOAL_ENDPOINT", default_value = "http://127.0.0.1:9324")]
    pub(crate) endpoint: String,
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
}

/// Which manager a command talks to, and how it waits and prints.
#[derive(Args, Clone)]
pub(crate) struct OperatorArgs {
    /// The manager's address
    #[arg(long, env = "SHOAL_MANAGER", default_value = "http://127.0.0.1:9325")]
    pub(crate) manager: String,
    /// How to print
    #[arg(short = 'o', long, value_enum, default_value_t = Format::Text)]
    pub(crate) output: Format,
    /// Seconds to wait for the end; what is under way then goes on
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) wait: u64,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

#[derive(Args)]
pub(crate) struct SendArgs {
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
    /// The queue
    pub(crate) queue: String,
    /// The body; standard input if neither it nor --file is given
    pub(crate) body: Option<String>,
    /// Read the body from a file
    #[arg(long, conflicts_with = "body")]
    pub(crate) file: Option<PathBuf>,
    /// Message group; a FIFO queue needs one
    #[arg(long)]
    pub(crate) group: Option<String>,
    /// Sends with the same id within five minutes are one message
    #[arg(long)]
    pub(crate) dedup_id: Option<String>,
    /// Seconds to hold the message back
    #[arg(long, value_name = "SECONDS")]
    pub(crate) delay: Option<u32>,
}

#[derive(Args)]
pub(crate) struct ReceiveArgs {
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
    /// The queue
    pub(crate) queue: String,
    /// At most so many messages
    #[arg(long, default_value_t = 1)]
    pub(crate) max: u32,
    /// Seconds to wait for a message
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(crate) wait: u32,
    /// Seconds that the messages stay hidden
    #[arg(long, value_name = "SECONDS")]
    pub(crate) visibility_timeout: Option<u32>,
    /// Delete what is received at once: a message whose answer gets lost is gone
    #[arg(long)]
    pub(crate) auto_ack: bool,
    /// Go on receiving until Ctrl-C
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Args)]
pub(crate) struct AckArgs {
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
    /// The queue
    pub(crate) queue: String,
    /// Receipts of received messages
    #[arg(required = true)]
    pub(crate) receipts: Vec<String>,
}

#[derive(Subcommand)]
pub(crate) enum MoveCommand {
    /// List what is under way, how far it is and what it waits for
    List(OperatorArgs),
    /// Move a queue to another cluster. Messages stay where they are until they are consumed; new ones go
    /// to the new place, in order
    Start {
        #[command(flatten)]
        operator: OperatorArgs,
        /// The queue
        queue: QueueName,
        /// Where to, as in c2
        #[arg(long)]
        to: ClusterId,
        /// Which of its partitions, if several take sends
        #[arg(long)]
        partition: Option<PartitionId>,
    },
}
