//! `shoal queue …`

use clap::{Args, Subcommand};
use shoal_types::Partitioning;

use super::EndpointArgs;

#[derive(Subcommand)]
pub(crate) enum QueueCommand {
    /// Create a queue; doing it again with the same settings is fine
    Create {
        #[command(flatten)]
        endpoint: EndpointArgs,
        #[command(flatten)]
        settings: QueueSettingsArgs,
        /// 1 to 80 of A-Z a-z 0-9 - _; a FIFO queue's name ends in .fifo
        name: String,
    },
    /// List queues
    List {
        #[command(flatten)]
        endpoint: EndpointArgs,
        /// Only names that begin so
        #[arg(long, default_value = "")]
        prefix: String,
    },
    /// Show a queue's settings and counts
    Show {
        #[command(flatten)]
        endpoint: EndpointArgs,
        /// The queue
        name: String,
    },
    /// Change settings of a queue; those not named stay
    Set {
        #[command(flatten)]
        endpoint: EndpointArgs,
        #[command(flatten)]
        settings: QueueSettingsArgs,
        /// The queue
        name: String,
    },
    /// Move a dead-letter queue's messages back to where they died, or to another queue. It goes on by
    /// itself
    Redrive(RedriveArgs),
    /// Delete all messages of a queue
    Purge {
        #[command(flatten)]
        endpoint: EndpointArgs,
        /// The queue
        name: String,
    },
    /// Delete a queue with all its messages
    Delete {
        #[command(flatten)]
        endpoint: EndpointArgs,
        /// The queue
        name: String,
    },
}

#[derive(Args)]
pub(crate) struct QueueSettingsArgs {
    /// Seconds that a received message stays hidden
    #[arg(long, value_name = "SECONDS")]
    pub(crate) visibility_timeout: Option<u32>,
    /// Seconds that a sent message is held back
    #[arg(long, value_name = "SECONDS")]
    pub(crate) delay: Option<u32>,
    /// Seconds that a message is kept
    #[arg(long, value_name = "SECONDS")]
    pub(crate) retention: Option<u32>,
    /// Largest message in bytes
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_message_bytes: Option<u32>,
    /// Seconds that a receive waits if it does not say
    #[arg(long, value_name = "SECONDS")]
    pub(crate) receive_wait: Option<u32>,
    /// Refuse sends above so many messages
    #[arg(long, value_name = "N")]
    pub(crate) max_messages: Option<u64>,
    /// Refuse sends above so many bytes
    #[arg(long, value_name = "BYTES")]
    pub(crate) max_bytes: Option<u64>,
    /// Where messages go that were received too often; goes with --max-receive-count
    #[arg(long, value_name = "QUEUE")]
    pub(crate) dead_letter_queue: Option<String>,
    /// How often a message may be received before it goes to the dead-letter queue
    #[arg(long, value_name = "N")]
    pub(crate) max_receive_count: Option<u32>,
    /// Messages are received as often as it takes; there is no dead-letter queue any more
    #[arg(long, conflicts_with_all = ["dead_letter_queue", "max_receive_count"])]
    pub(crate) no_dead_letters: bool,
    /// `auto`: the queue may be split over several clusters; `1`: it stays in one piece
    #[arg(long, value_name = "1|auto")]
    pub(crate) partitions: Option<Partitioning>,
    /// FIFO: equal bodies within five minutes are one message
    #[arg(long)]
    pub(crate) content_deduplication: bool,
}

#[derive(Args)]
pub(crate) struct RedriveArgs {
    #[command(flatten)]
    pub(crate) endpoint: EndpointArgs,
    /// The queue whose messages go
    pub(crate) queue: String,
    /// Move all of them to this queue, instead of each to the queue in which it died
    #[arg(long, value_name = "QUEUE", conflicts_with_all = ["list", "cancel"])]
    pub(crate) to: Option<String>,
    /// At most so many messages a second, 1 to 500; as fast as it goes if not given
    #[arg(long, value_name = "N", conflicts_with_all = ["list", "cancel"])]
    pub(crate) max_per_second: Option<u16>,
    /// Wait until it is over, an hour at most if not said otherwise; what is under way then goes on
    #[arg(
        long,
        value_name = "SECONDS",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "3600",
        conflicts_with = "list"
    )]
    pub(crate) wait: Option<u64>,
    /// List the last ten, newest first
    #[arg(long, conflicts_with = "cancel")]
    pub(crate) list: bool,
    /// End the one that is under way; what has not gone stays
    #[arg(long)]
    pub(crate) cancel: bool,
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::{Cli, Command, QueueCommand, RedriveArgs};

    fn redrive(line: &str) -> Result<RedriveArgs, clap::Error> {
        let words = format!("shoal queue redrive {line}");
        match Cli::try_parse_from(words.split_whitespace())?.command {
            Command::Queue(QueueCommand::Redrive(args)) => Ok(args),
            _ => unreachable!("it says redrive"),
        }
    }

    #[test]
    fn a_redrive_waits_an_hour_or_as_long_as_it_is_told_and_only_if_it_is() {
        for (line, wait) in [
            ("dead", None),
            ("dead --wait", Some(3_600)),
            ("--wait dead", Some(3_600)),
            ("dead --wait=5 --to orders", Some(5)),
            ("dead --cancel --wait", Some(3_600)),
        ] {
            let args = redrive(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert_eq!((args.queue.as_str(), args.wait), ("dead", wait), "{line}");
        }
    }

    #[test]
    fn what_does_not_go_together_is_refused() {
        for line in [
            "",
            "dead --list --cancel",
            "dead --list --wait",
            "dead --list --to orders",
            "dead --cancel --max-per-second 5",
            "dead --max-per-second -1",
            "dead --wait=soon",
        ] {
            assert!(redrive(line).is_err(), "{line}");
        }
        let set = "shoal queue set orders --no-dead-letters --max-receive-count 3";
        assert!(Cli::try_parse_from(set.split(' ')).is_err());
    }
}
