//! Bugs planted on purpose: the proof that the simulator finds what it is there to find.
//!
//! They are compiled in by the feature `planted` alone, which no member turns on by itself; only a
//! command line does: `cargo run --release -p shoal-sim --features planted`. Even then a bug acts only
//! once it is chosen with `plant`. Without the feature [`planted`] is the constant `false`, so the
//! compiler drops every branch on it, and the `shoal` binary refuses to be built with the feature.
//!
//! One more bug is one more line in the list below, and one `planted(Bug::…)` at the place in the code
//! where the rule that it breaks is kept.

use std::fmt;
use std::str::FromStr;

use crate::Ts;

/// True in builds that contain the bugs.
pub const PLANTED: bool = cfg!(feature = "planted");

macro_rules! bugs {
    ($($(#[$doc:meta])* $name:ident = $text:literal, breaks $rule:literal;)*) => {
        /// A bug that can be planted, one at a time. Each is a slip that somebody could make, and that
        /// leaves the system working as long as nothing unusual happens.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum Bug {
            $(
                $(#[$doc])*
                #[doc = concat!("\n\nBreaks: ", $rule, ".")]
                $name,
            )*
        }

        impl Bug {
            /// Every bug, in the order of the list.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// Its name on command lines and in reports.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The rule that it breaks.
            #[must_use]
            pub const fn rule(self) -> &'static str {
                match self { $(Self::$name => $rule,)* }
            }
        }
    };
}

bugs! {
    // What must be on disk before what is sent.

    /// A host acknowledges entries that it holds, synced or not.
    AckBeforeSync = "ack-before-sync",
        breaks "an acknowledgement covers only what is durable at its sender";
    /// A proposer sends its Prepare while its ballot is not durable yet.
    PrepareBeforeSync = "prepare-before-sync",
        breaks "nobody hears of a ballot before its proposer has it on disk";
    /// A host promises while the ballot that it promises is not durable yet.
    PromiseBeforeSync = "promise-before-sync",
        breaks "a promise is sent once the ballot, the view before and what it seals are durable";
    /// A host says that it accepted a value that is not durable there yet.
    AcceptedBeforeSync = "accepted-before-sync",
        breaks "an accepted value and all that it seals are durable before anyone hears of it";
    /// A host acts in a view whose record is not durable yet.
    ActsBeforeViewIsDurable = "acts-before-view-is-durable",
        breaks "a host acts in a view only once its record is durable";

    // The order and what may be executed.

    /// A writer's clock counts even where entries before it are missing.
    ClockBeyondGap = "clock-beyond-gap",
        breaks "a clock counts only at a host that holds the lane up to the clock's last entry";
    /// The smallest entry at hand is executed without waiting for the clocks of empty lanes.
    ExecutedBeforeStable = "executed-before-stable",
        breaks "an entry is executed once no writer can come up with a smaller one";
    /// An entry is executed, and its client answered, before a quorum has it.
    AnsweredBeforeCommit = "answered-before-commit",
        breaks "an entry is executed and answered once a quorum has it on disk";
    /// Half of the members (of three: one) pass for a quorum.
    QuorumTooSmall = "quorum-too-small",
        breaks "any two quorums share a member";

    // Views.

    /// A restarted host goes on in the view in which its earlier life acted.
    ActsAfterRestart = "acts-after-restart",
        breaks "a host that restarted never acts again in a view in which an earlier life of it did";
    /// Lanes are sealed at the smallest end that was promised instead of the largest.
    SealBelowAcknowledged = "seal-below-acknowledged",
        breaks "a seal covers whatever any promise has on disk";
    /// A proposer puts forward its own value although a promise carries an accepted one.
    AcceptedValueForgotten = "accepted-value-forgotten",
        breaks "the value accepted under the highest promised ballot is proposed again";
    /// What a suspended host has got since its promise counts for the view that is being sealed.
    SealedEntriesCounted = "sealed-entries-counted",
        breaks "entries that come to a suspended host never count in the view that they are of";
    /// A host that promised goes on acknowledging and executing in the view before.
    ActsAfterPromise = "acts-after-promise",
        breaks "whoever promises suspends: it acknowledges and executes nothing more in its view";
    /// A host votes on a view without having installed the one before it.
    PromiseWhileBehind = "promise-while-behind",
        breaks "a host that lacks the view before catches up before it votes";
    /// A host that knows less than an earlier life of it did is listened to all the same.
    RolledBackHostVotes = "rolled-back-host-votes",
        breaks "a host whose data folder was lost or set back does not vote";
    /// Every pre-vote is agreed to.
    PreVoteAlwaysAgrees = "pre-vote-always-agrees",
        breaks "a member agrees to a pre-vote only if it sees the same need";
    /// Lanes are not cut at their ends if the view is installed from the log.
    ReplayBeyondSeal = "replay-beyond-seal",
        breaks "nothing beyond a seal is ever executed, after a restart neither";

    // The log and checkpoints.

    /// A body counts as moved, and the segment that it left may go, once its new place is appended.
    RelocatedBeforeDurable = "relocated-before-durable",
        breaks "a body has moved once its new place is durable, and its old place goes only after a checkpoint";

    /// The log is cut at the first block that is not sound, whatever follows it.
    LogTruncatedAtDamage = "log-truncated-at-damage",
        breaks "what cannot be read is not taken for what was never written";
    /// What is found in the log at a start counts as durable, synced or not.
    ScanWithoutSync = "scan-without-sync",
        breaks "what a restart finds is synced before it counts";
    /// A failed sync of the log counts as a successful one.
    SyncErrorIgnored = "sync-error-ignored",
        breaks "the first failed write or sync is final";
    /// The folder is not synced after a segment got its name.
    SegmentNameNotSynced = "segment-name-not-synced",
        breaks "a segment's name is durable before records in it count as durable";
    /// A checkpoint is written while the log that it refers to is not durable.
    CheckpointAheadOfLog = "checkpoint-ahead-of-log",
        breaks "a checkpoint is durable only after the log that it refers to";
    /// A segment goes although a message's body lies in it.
    LiveBodyRemoved = "live-body-removed",
        breaks "a segment with a live body stays";

    /// A snapshot is installed as soon as it is here: neither durable in the log nor looked at.
    SnapshotBaseBeforeSync = "snapshot-base-before-sync",
        breaks "a snapshot is installed once every body that came with it is durable";
    /// What a host promised and accepted is left out when it installs a snapshot.
    PromiseForgottenAtInstall = "promise-forgotten-at-install",
        breaks "a host that installs a snapshot keeps its own promise and its own accepted value";

    // Members, releases and clocks.

    /// What is known of a host stays at its place in the list when the list changes.
    SlotsNotMoved = "slots-not-moved",
        breaks "what is known of a host moves along with it when the members change";
    /// An order to change the members is carried out however old it is.
    RevisionNotFenced = "revision-not-fenced",
        breaks "an older list of members than the one in force is refused";
    /// A host proposes the newest version of the rules that it knows itself, whatever others know.
    RaisedAlone = "raised-alone",
        breaks "the version of the rules is raised once every member supports the new one";
    /// A checkpoint says that the first version of the rules is in force.
    VersionNotStored = "version-not-stored",
        breaks "the version of the rules in force is part of every checkpoint";
    /// A host whose clock is not among those that agree goes by it all the same.
    MedianIgnored = "median-ignored",
        breaks "a host whose clock is not among those that agree goes by their median";

    // Queues.

    /// A receipt of an earlier lease is as good as one of the current lease.
    ReceiptsNotFenced = "receipts-not-fenced",
        breaks "a receipt is worth nothing once its message was leased again";
    /// A request that comes again is executed again.
    RepetitionExecutedAgain = "repetition-executed-again",
        breaks "a request that comes again gets its first answer and changes nothing";
    /// A send that is refused or a duplicate uses up a number.
    NumberGap = "number-gap",
        breaks "a queue's numbers have no gap";
    /// A FIFO group can be received from while messages of it are leased, if its oldest is ready.
    GroupUnlockedEarly = "group-unlocked-early",
        breaks "a FIFO group is handed out only while none of its messages is leased";
    /// Leases, delays and times to live end by the executing host's own clock.
    DueByLocalClock = "due-by-local-clock",
        breaks "time is decided against the executing entry's timestamp, alike on every host";
    /// Deduplication keys are not part of checkpoints.
    DeduplicationNotStored = "deduplication-not-stored",
        breaks "a send with a known key is a duplicate for five minutes, restart or not";
    /// Waiting receives do not wait any more after a start from a checkpoint.
    WaitersNotRestored = "waiters-not-restored",
        breaks "a restored machine is the machine that was frozen: its waiters";
    /// Delayed messages are ready at once after a start from a checkpoint.
    DelaysNotRestored = "delays-not-restored",
        breaks "a restored machine is the machine that was frozen: its delays";
    /// The rolling hash begins anew after a start from a checkpoint.
    HashNotRestored = "hash-not-restored",
        breaks "hosts that executed the same have the same state hash";

    // What goes to other queues.

    /// A target takes a parcel each time that it comes.
    DeadLetterTwice = "dead-letter-twice",
        breaks "a dead letter stands in the dead-letter queue once";
    /// A message dies one receive before its time.
    DiesEarly = "dies-early",
        breaks "a message dies after exactly as many receives as its queue says";
    /// A parcel that nobody is known to have taken is forgotten, and the next one made.
    UnansweredParcelForgotten = "unanswered-parcel-forgotten",
        breaks "a source keeps what a parcel contains until it hears that the target has it";
    /// What is on its way when its setting is taken back lives again at once.
    LivesOnItsWay = "lives-on-its-way",
        breaks "what is on its way may have arrived, and lives again only once it surely has not";
    /// A cancelled task takes back what is on its way.
    CancelledOnItsWay = "cancelled-on-its-way",
        breaks "what is on its way when a task is cancelled arrives yet";
    /// The parcel with the messages that died last goes first.
    DeadOutOfOrder = "dead-out-of-order",
        breaks "the dead go in the order of their deaths";
    /// A dead letter counts as received as often as it was before.
    ReceivesKept = "receives-kept",
        breaks "in the dead-letter queue a message is received as if for the first time";
    /// Which dead and moved messages had been leased is not remembered.
    LeftNotRemembered = "left-not-remembered",
        breaks "a receipt for a message that is in another queue is not answered as if it were gone";
    /// A message that died again is told to be what it was in the dead-letter queue.
    NamedAnew = "named-anew",
        breaks "a dead letter has the name that it was sent under, however many queues it died in";
    /// Which messages are dead is not known any more after a start from a checkpoint.
    DeadNotRestored = "dead-not-restored",
        breaks "a restored machine is the machine that was frozen: its dead";
    /// A message that arrives behind dead ones of its FIFO group waits for them to go.
    WaitsBehindTheDead = "waits-behind-the-dead",
        breaks "a group goes on without its dead messages";

    // What successors are told of.

    /// All groups that a seal names are told as gone.
    GroupsToldTooEarly = "groups-told-too-early",
        breaks "a group is told as gone once no message of it is left before the successor";
    /// A sealed partition is told as drained whatever is left in it.
    DrainedToldTooEarly = "drained-told-too-early",
        breaks "a partition is told as drained once nothing is left in it and before it";
    /// The sends with keys are told from the second on.
    KeysToldOffByOne = "keys-told-off-by-one",
        breaks "every send with a key that the seal counts is told, each in its place";
    /// A successor opens as soon as it is shown the seal.
    OpenedBeforeTold = "opened-before-told",
        breaks "a successor opens once it was told of all sends with keys before it";

    // What goes on to heirs.

    /// A piece that nobody is known to have taken is forgotten, and the next one made.
    UnansweredPieceForgotten = "unanswered-piece-forgotten",
        breaks "a source keeps a piece until it hears that the heir has it";
    /// A piece that comes again is taken again.
    PieceTakenTwice = "piece-taken-twice",
        breaks "an heir takes the piece whose number follows the last one, and no other";
    /// All messages of a piece are given the first one's body.
    BodiesOfOthers = "bodies-of-others",
        breaks "each message of a piece goes with its own body";
    /// Messages count at the heir as never leased.
    LeasesNotForwarded = "leases-not-forwarded",
        breaks "leases and receives are counted on where a message goes on to";
    /// What was delayed is ready at the heir.
    DelaysNotForwarded = "delays-not-forwarded",
        breaks "a delay lasts as long where a message goes on to";
    /// A receipt whose lease ran out deletes a message that is on its way.
    DeletedOnItsWay = "deleted-on-its-way",
        breaks "whoever has a receipt for a message that is on its way has no say in it any more";
    /// Which leased messages went on is not remembered.
    WentNotRemembered = "went-not-remembered",
        breaks "a receipt for a message that went on is not answered as if it were gone";
    /// An heir that is empty counts as drained, whatever is still to come.
    HeirDrainedTooEarly = "heir-drained-too-early",
        breaks "an heir is drained once it has all of its source, and nothing is left";
}

impl Bug {
    /// True if it can show only where messages go to other queues.
    #[must_use]
    pub fn is_of_dead_letters(self) -> bool {
        self >= Self::DeadLetterTwice && self <= Self::WaitsBehindTheDead
    }

    /// True if it can show only where queues move: in what partitions that follow one another or take
    /// messages over do.
    #[must_use]
    pub fn is_of_moves(self) -> bool {
        self >= Self::GroupsToldTooEarly
    }
}

/// No bug of this name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no planted bug has the name {0:?}")]
pub struct NoSuchBug(pub String);

impl FromStr for Bug {
    type Err = NoSuchBug;

    fn from_str(name: &str) -> Result<Self, NoSuchBug> {
        let found = Self::ALL.iter().find(|bug| bug.as_str() == name);
        found.copied().ok_or_else(|| NoSuchBug(name.to_owned()))
    }
}

impl fmt::Display for Bug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

#[cfg(feature = "planted")]
pub use active::{local_clock, plant, planted, show_local_clock};

#[cfg(feature = "planted")]
mod active {
    use std::cell::Cell;
    use std::sync::atomic::{AtomicU8, Ordering::Relaxed};

    use super::{Bug, Ts};

    /// The active bug's place in the list from 1 on, 0 for none.
    static ACTIVE: AtomicU8 = AtomicU8::new(0);

    thread_local! {
        /// What the host that runs on this thread at the moment takes for now.
        static LOCAL_CLOCK: Cell<Ts> = const { Cell::new(Ts::ZERO) };
    }

    /// Makes this the one bug that acts, in the whole process, or none.
    pub fn plant(bug: Option<Bug>) {
        ACTIVE.store(bug.map_or(0, |bug| bug as u8 + 1), Relaxed);
    }

    /// True if this bug acts. Stands where the rule that it breaks is kept.
    #[inline]
    #[must_use]
    pub fn planted(bug: Bug) -> bool {
        ACTIVE.load(Relaxed) == bug as u8 + 1
    }

    /// For [`Bug::DueByLocalClock`]: a host's turn begins on this thread, at this wall time.
    pub fn show_local_clock(wall: Ts) {
        LOCAL_CLOCK.set(wall);
    }

    /// For [`Bug::DueByLocalClock`]: the executing host's own time if that bug acts, else the entry's.
    #[must_use]
    pub fn local_clock(entry: Ts) -> Ts {
        if planted(Bug::DueByLocalClock) {
            LOCAL_CLOCK.get()
        } else {
            entry
        }
    }
}

#[cfg(not(feature = "planted"))]
pub use absent::{local_clock, planted, show_local_clock};

/// The same without any bug: constants, which leave nothing in a build.
#[cfg(not(feature = "planted"))]
mod absent {
    use super::{Bug, Ts};

    /// True if this bug acts: never in this build.
    #[inline]
    #[must_use]
    pub const fn planted(_bug: Bug) -> bool {
        false
    }

    /// Only planted bugs ask for a host's own clock.
    #[inline]
    pub const fn show_local_clock(_wall: Ts) {}

    /// The time by which due work is decided: the entry's.
    #[inline]
    #[must_use]
    pub const fn local_clock(entry: Ts) -> Ts {
        entry
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_is_found_by_its_name() {
        for bug in Bug::ALL {
            assert_eq!(bug.to_string().parse(), Ok(*bug));
            let kebab = |c: char| c.is_ascii_lowercase() || c == '-';
            assert!(bug.as_str().chars().all(kebab), "{bug}");
        }
        let unknown = "none".parse::<Bug>();
        assert_eq!(unknown, Err(NoSuchBug("none".to_owned())));
    }

    #[cfg(not(feature = "planted"))]
    #[test]
    fn without_the_feature_no_bug_acts() {
        const { assert!(!PLANTED) };
        assert!(!Bug::ALL.iter().any(|bug| planted(*bug)));
    }

    #[cfg(feature = "planted")]
    #[test]
    fn one_bug_acts_at_a_time() {
        const { assert!(PLANTED) };
        let acting = || Bug::ALL.iter().copied().filter(|bug| planted(*bug));
        for bug in Bug::ALL {
            plant(Some(*bug));
            assert_eq!(acting().collect::<Vec<_>>(), [*bug]);
        }
        plant(None);
        assert_eq!(acting().count(), 0);
    }
}
