//! Rare events that a large run must have reached. What a test never reaches it does not test: if a
//! change of code or of the simulator's odds makes one of these disappear, the run says so.

macro_rules! sometimes {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        /// A rare event.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Sometimes { $($(#[$doc])* $name,)* }

        impl Sometimes {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// As reports name it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

sometimes! {
    // Views
    /// A view was proposed because a writer is missing.
    ViewForMissing = "view change because a writer is missing";
    /// A view was proposed because a host wants in.
    ViewForJoining = "view change because a host wants in";
    /// A view was proposed because a host wants out.
    ViewForLeaving = "view change because a host wants out";
    /// A view that leaves a host out was installed.
    ViewWithoutSomeone = "view without one of the members installed";
    /// A view with one writer was installed.
    ViewOfOne = "view with a single writer installed";
    /// A higher ballot stopped an attempt.
    BallotDuel = "ballot refused because of a higher one";
    /// Round 2 or later was tried.
    SecondRound = "value put forward in a later round than the first";
    /// A promise carried a value accepted before.
    AcceptedValueAdopted = "promise with a value accepted under an earlier ballot";
    /// A host that had a ballot under way died.
    ProposerDied = "proposer died before its view was installed";
    /// A machine lost its power right after its host had voted.
    PowerLostAfterVote = "power lost right after a vote";
    /// A pre-vote was sent by a host that got no quorum and went on acting.
    PreVoteInVain = "pre-votes for one view that came to nothing";
    /// A host's own batch lay beyond the seal.
    OwnBatchCutOff = "own batch cut off by the seal";
    /// A host that kept dropping out was made to wait.
    JoinBackedOff = "host had to ask again and again to be let in";
    /// All members of a cluster of four were split two and two.
    TwoTwoSplit = "four hosts split two and two";
    // Entries on their way
    /// A gap was fetched.
    ResendAfterGap = "fetch of a gap within the current view";
    /// Entries of an earlier view were fetched.
    FetchOfEarlierView = "fetch of an earlier view";
    /// Entries were read from the log for a peer.
    FetchFromLog = "entries for a peer read from the log";
    /// Entries were sent to a peer out of memory.
    FetchFromMemory = "entries for a peer taken from memory";
    /// Entries for a peer could not be read.
    FetchFailed = "entries for a peer could not be read";
    /// A message was lost.
    MessageLost = "message between hosts lost";
    /// A message came twice.
    MessageTwice = "message between hosts duplicated";
    /// A message overtook another.
    MessageLate = "message between hosts overtaken by later ones";
    /// A frame came from a life that was over.
    FrameOfTheDead = "frame arrived from a host that had died meanwhile";
    // Processes
    /// A host was formed late.
    FormedLate = "host formed seconds after the others";
    /// Formation was repeated and did nothing.
    FormedAgain = "formation repeated without effect";
    /// Another formation was refused.
    FormedOtherwiseRefused = "formation with another list refused";
    /// A process was killed while a log write was under way.
    KilledInLogWrite = "killed in the middle of a log write";
    /// A process was killed while it began a segment.
    KilledInSegmentBegin = "killed while a segment was begun";
    /// A process was killed while it wrote a checkpoint.
    KilledInCheckpoint = "killed in the middle of a checkpoint";
    /// A process was killed while it removed segments.
    KilledInRemoval = "killed in the middle of a removal of segments";
    /// A process was killed during upkeep.
    KilledInUpkeep = "killed in the middle of upkeep";
    /// A process was killed while it started.
    KilledInStart = "killed while it started";
    /// Power of one host was lost.
    PowerLost = "power of a host lost";
    /// Power of all hosts was lost at once.
    AllPowerLost = "power of all hosts lost at once";
    /// A frozen host went on.
    Thawed = "frozen host went on";
    /// A frozen host was left out meanwhile.
    ThawedOutsideTheView = "frozen host went on and found itself left out";
    /// A host left on purpose and was sealed out.
    LeftSealedOut = "leaving host was sealed out before it stopped";
    /// A host left on purpose and nobody sealed it out in time.
    LeftImpatient = "leaving host stopped without having been sealed out";
    /// Two hosts were down at once.
    MajorityDown = "no majority of the hosts up";
    // Releases
    /// The rules were raised to a newer version.
    RaiseExecuted = "raise of the machine version executed";
    /// A raise was replayed.
    RaiseReplayed = "raise of the machine version replayed at a start";
    /// A member did not support what the others did.
    RaiseHeldBack = "raise held back by a member that supports less";
    /// A host was given back the release before.
    ReleasePutBack = "release of a host put back after an upgrade was given up";
    /// A start found segments of two formats.
    FormatsMixed = "segments of two formats read at a start";
    // Members
    /// A host became a member.
    MemberAdded = "member added";
    /// A member was removed.
    MemberRemoved = "member removed";
    /// A learner was killed or lost its power.
    NewcomerDied = "newcomer died while it was learning";
    /// A change with an old revision was refused.
    ChangeRefusedStale = "change of the members refused as stale";
    /// A host that was removed while it was down was told.
    RemovedLearnedLate = "removed host came back and learned of it";
    // Snapshots
    /// A snapshot was sent to the last chunk.
    SnapshotSent = "snapshot sent";
    /// A host went on from a snapshot.
    SnapshotInstalled = "snapshot installed";
    /// A host that was no member yet went on from a snapshot.
    NewcomerTookSnapshot = "newcomer went on from a snapshot";
    /// Nothing was kept any more for a member that was behind.
    MemberLetBehind = "member let behind what the logs hold";
    /// A member went on from a snapshot.
    MemberTookSnapshot = "member let behind caught up by a snapshot";
    /// A process was killed while it read a chunk for a peer.
    KilledInSnapshotRead = "killed while it read a snapshot for a peer";
    /// A process was killed while it staged or checked a snapshot.
    KilledInSnapshotStage = "killed while it staged or checked a snapshot";
    /// A process was killed while it installed a snapshot.
    KilledInSnapshotInstall = "killed in the middle of installing a snapshot";
    /// A chunk or the question for it got lost.
    SnapshotChunkLost = "chunk of a snapshot lost and asked for again";
    /// A chunk came damaged.
    SnapshotChunkRefused = "chunk of a snapshot damaged and refused";
    /// A snapshot was given up and another peer was asked.
    SnapshotFromAnother = "snapshot asked of another peer";
    // Disks
    /// A torn tail was found.
    TornTail = "unfinished write found at the end of the log";
    /// A start found records that the last power loss had not taken although unsynced.
    UnsyncedTail = "restart found writes that had not been synced";
    /// A write failed and the host stopped.
    StoppedByWriteError = "host stopped because a write failed";
    /// A sync failed and the host stopped.
    StoppedBySyncError = "host stopped because a sync failed";
    /// No room for the log.
    LogFull = "no room for the log";
    /// No room for a checkpoint.
    CheckpointFull = "no room for a checkpoint, put off";
    /// Commands refused since a disk is full.
    RefusedDiskFull = "command refused because a disk is full";
    /// A stalled disk made its host ask to be let out.
    StalledDiskAskedOut = "host with a stalled disk asked to be let out";
    /// A body could not be read.
    BodyUnreadable = "body could not be read or was damaged, and was held back";
    /// A peer gave a body.
    BodyRepaired = "damaged body given by a peer";
    /// A damaged segment was found and is emptied.
    SegmentDamageFound = "log segment found damaged, and emptied";
    /// Everything was looked at once.
    Scrubbed = "scrub over the whole log and checkpoint";
    /// A body was appended once more.
    BodyMoved = "body moved out of a log segment that is to go";
    /// A segment that was emptied went.
    SegmentEmptied = "log segment gone after its last bodies had been moved";
    /// A crash came while moved bodies were not durable.
    KilledWhileMoving = "host died before bodies that it had moved were durable";
    /// A body was read from the log.
    BodyFromLog = "body read from the log";
    /// A segment was removed.
    SegmentRemoved = "log segment removed";
    /// A checkpoint was written.
    CheckpointWritten = "checkpoint written";
    /// A checkpoint was found damaged.
    CheckpointDamageFound = "damaged checkpoint found";
    /// It was written anew from memory.
    CheckpointMended = "damaged checkpoint written anew";
    /// A host whose checkpoint could not be read was given the state by a peer.
    CheckpointGiven = "state of a host with a damaged checkpoint given by a peer";
    /// A host started from a checkpoint.
    CheckpointRestored = "host started from a checkpoint";
    /// A host started from a checkpoint after its log had lost segments.
    RestoredWithoutOldSegments = "host started from a log whose beginning was removed";
    /// A damaged host refused to start.
    DamageRefused = "damaged host refused to start";
    /// A damaged host started although it was damaged.
    DamageHarmless = "damaged host started, the damage touched nothing that counts";
    /// A host whose data folder was set back or wiped was refused.
    SetBackRefused = "host refused since its data folder was set back or wiped";
    // Clocks
    /// A clock far off.
    FarClock = "host with a clock beyond the bound";
    /// An entry from a clock too far ahead was not adopted.
    ClockTooFarAhead = "host suspected because its clock is too far ahead";
    /// Wall clock stepped ahead.
    ClockSteppedAhead = "system clock stepped ahead";
    /// Wall clock stepped back.
    ClockSteppedBack = "system clock stepped back";
    // Queues that move
    /// A partition was sealed.
    Sealed = "partition sealed";
    /// Somebody who came to send showed a successor the seal.
    SealShownByClient = "successor shown the seal by a client";
    /// A successor was told that what it follows is drained.
    ToldDrained = "successors told that all before them is drained";
    /// Messages came to an heir.
    PieceTaken = "messages taken over by an heir";
    /// A piece came that the heir had taken long before.
    PieceTakenLongAgo = "piece came again after the heir had taken later ones";
    /// Nobody answered who brought a piece.
    PieceUnanswered = "piece or its answer lost on the way to the heir";
    /// A body on its way could not be read.
    PieceUnreadable = "body of a piece could not be read by who was to bring it";
    /// A process was killed while it brought a piece.
    KilledInCarriage = "killed while it brought a piece to an heir";
    /// Some went on, others were leased or locked.
    WentOnInPart = "some messages went on, others stayed for now";
    /// All that was there went on, of a partition that waits for what it follows.
    WentOnWhileOthersAreBefore = "messages went on while their partition waited for an older one";
    /// All went on.
    AllWentOn = "all that a partition had went on to its heir";
    /// The heir was gone.
    ForwardingEnded = "heir found gone, and the rest kept where it was";
    /// An heir was given an heir.
    HeirOfAnHeir = "heir given an heir of its own";
    /// A receipt was shown where its message was not any more.
    ReceiptOfWhatWentOn = "receipt shown where the message had gone on to an heir";
    // Messages that go to other queues
    /// Dead letters came to a dead-letter queue.
    DeadLettersTaken = "dead letters taken by another queue";
    /// A task's messages came to another queue.
    MovedTaken = "messages of a task taken by another queue";
    /// A parcel came that the target had taken before.
    ParcelPassedOver = "parcel came again after it had been taken, and was passed over";
    /// A source said that it has heard of all that was taken.
    ParcelSettled = "source settled what a target had taken";
    /// A parcel that settles was put off for messages.
    SettlingPutOff = "parcel that settles gave way to messages";
    /// The target had no room for a parcel.
    ParcelRefusedFull = "parcel refused by a full queue, and kept";
    /// The target was gone.
    ParcelReturned = "parcel returned because its target is gone";
    /// A parcel of which something was purged or expired arrived nevertheless.
    PurgedOnItsWay = "messages purged or expired while they were on their way";
    /// A task came to its end.
    TaskCompleted = "task moved all that it could";
    /// A task was cancelled while a parcel of it was on its way.
    TaskCancelledOnItsWay = "task cancelled while messages of it were on their way";
    /// What a task was to move to was gone.
    TaskFailed = "task failed because its target is gone";
    /// A parcel for what was sealed.
    ParcelRedirected = "parcel redirected to those that follow its target";
    /// Dead messages of a sealed partition hold their groups at the successors.
    DeadHoldGroups = "dead messages of a sealed FIFO partition waited for their queue";
    // Clients
    /// A waiting receive was given messages by a command that came in through another host.
    WaiterGivenAcrossHosts = "waiting receive given messages by another host's command";
    /// A receive was answered because its host left the view.
    WaiterRefusedByView = "waiting receive refused because its host left the view";
    /// A duplicate was found.
    Deduplicated = "deduplicated send";
    /// A send was repeated at a host that had restarted since.
    DeduplicatedAcrossRestart = "send repeated at its first host after that had restarted";
    /// A repeated request found its remembered outcome.
    RetryRemembered = "repeated request executed a second time, same outcome";
    /// An acknowledgement came after its lease.
    LateAcknowledge = "acknowledgement after its lease had ended";
    /// A command executed after its deadline.
    DeadlinePassed = "command executed after its deadline";
    /// A command was held during a view change and executed.
    HeldCommand = "command taken in while the view changed, and executed";
    /// A client broke off its wait.
    WaiterCancelled = "waiting receive cancelled by its client";
    /// Nobody knows what became of a call.
    CallBroken = "call whose connection broke";
}

impl Sometimes {
    /// Those that only runs reach in which queues move.
    pub const OF_MOVES: &'static [Self] = &[
        Self::Sealed,
        Self::SealShownByClient,
        Self::ToldDrained,
        Self::PieceTaken,
        Self::PieceTakenLongAgo,
        Self::PieceUnanswered,
        Self::PieceUnreadable,
        Self::KilledInCarriage,
        Self::WentOnInPart,
        Self::WentOnWhileOthersAreBefore,
        Self::AllWentOn,
        Self::ForwardingEnded,
        Self::HeirOfAnHeir,
        Self::ReceiptOfWhatWentOn,
    ];

    /// Those that only runs reach in which messages go to other queues.
    pub const OF_DEAD_LETTERS: &'static [Self] = &[
        Self::DeadLettersTaken,
        Self::MovedTaken,
        Self::ParcelPassedOver,
        Self::ParcelSettled,
        Self::SettlingPutOff,
        Self::ParcelRefusedFull,
        Self::ParcelReturned,
        Self::PurgedOnItsWay,
        Self::TaskCompleted,
        Self::TaskCancelledOnItsWay,
        Self::TaskFailed,
        Self::ParcelRedirected,
        Self::DeadHoldGroups,
    ];

    /// True if only runs reach it in which queues move.
    #[must_use]
    pub fn is_of_moves(self) -> bool {
        let needs_both = matches!(self, Self::ParcelRedirected | Self::DeadHoldGroups);
        needs_both || Self::OF_MOVES.contains(&self)
    }

    /// True if only runs reach it in which messages go to other queues.
    #[must_use]
    pub fn is_of_dead_letters(self) -> bool {
        Self::OF_DEAD_LETTERS.contains(&self)
    }
}

/// How often each was reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reached([u64; Sometimes::ALL.len()]);

impl Default for Reached {
    fn default() -> Self {
        Self([0; Sometimes::ALL.len()])
    }
}

impl Reached {
    /// It happened.
    pub fn note(&mut self, what: Sometimes) {
        self.0[what as usize] += 1;
    }

    /// How often it happened.
    #[must_use]
    pub fn count(&self, what: Sometimes) -> u64 {
        self.0[what as usize]
    }

    /// Adds another run's counts.
    pub fn add(&mut self, other: &Self) {
        for (sum, n) in self.0.iter_mut().zip(&other.0) {
            *sum += n;
        }
    }

    /// What never happened.
    pub fn never(&self) -> impl Iterator<Item = Sometimes> {
        Sometimes::ALL
            .iter()
            .copied()
            .filter(|what| self.count(*what) == 0)
    }
}
