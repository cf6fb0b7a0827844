//! The version of the rules by which commands are executed.
//!
//! A change that makes a command do something else than before raises [`MACHINE_VERSION_MAX`] by one,
//! and the code asks the machine's version which way to go. A host that lacks a version cannot take
//! part once it is in force.

use std::ops::RangeInclusive;

use shoal_types::MachineVersion;

use crate::machine::Machine;

/// The oldest rules that this release knows. New clusters begin with them: hosts of two releases may
/// form one together only if this is the same in both.
pub const MACHINE_VERSION_MIN: MachineVersion = MachineVersion(1);
/// The newest rules that this release knows.
pub const MACHINE_VERSION_MAX: MachineVersion = if cfg!(feature = "next-release") {
    MACHINE_VERSION_NEXT
} else {
    MachineVersion(3)
};
/// The newest rules that the release after this one knows, as it is rehearsed
/// (`services/host/src/next_release.rs`). Nothing is executed otherwise by them; that they
/// are in force is part of every state, and of its hash.
pub const MACHINE_VERSION_NEXT: MachineVersion = MachineVersion(4);

/// From these rules on partitions follow one another.
pub(crate) const SUCCESSION_SINCE: MachineVersion = MachineVersion(2);
/// From these rules on the groups of standard queues take turns, with messages sent from then on.
pub(crate) const FAIR_TURNS_SINCE: MachineVersion = MachineVersion(3);
/// From these rules on leases are bounded as SQS says: in how long they last and how many a standard
/// queue has; and receipts of messages that were given back are told from those that ran out.
pub(crate) const LEASES_BOUNDED_SINCE: MachineVersion = MachineVersion(3);
/// From these rules on messages go to other queues: dead letters and tasks that move messages.
pub(crate) const TRANSFERS_SINCE: MachineVersion = MachineVersion(3);

impl Machine {
    /// No partitions, nothing executed, the oldest version that this release supports.
    #[must_use]
    pub fn new() -> Self {
        Self::supporting(Self::versions())
    }

    /// The same for a release that supports other versions; for tests of what releases do together.
    #[must_use]
    pub fn supporting(versions: RangeInclusive<MachineVersion>) -> Self {
        assert!(!versions.is_empty(), "a release supports some version");
        Self {
            version: *versions.start(),
            supported: versions,
            executed: Default::default(),
            hash: Default::default(),
            partitions: Default::default(),
            schedule: Default::default(),
            sealed: Default::default(),
            senders: Default::default(),
            remembered: Default::default(),
            deleted: Default::default(),
            messages: 0,
            bytes: 0,
            instructed: Default::default(),
            bodies: Default::default(),
            remains: Default::default(),
            dead: Default::default(),
            dirty: Default::default(),
        }
    }

    /// The versions that this release supports.
    #[must_use]
    pub fn versions() -> RangeInclusive<MachineVersion> {
        MACHINE_VERSION_MIN..=MACHINE_VERSION_MAX
    }

    /// By which version of the rules commands are executed now.
    #[must_use]
    pub fn version(&self) -> MachineVersion {
        self.version
    }

    /// The versions that this machine knows the rules of.
    #[must_use]
    pub fn supported(&self) -> &RangeInclusive<MachineVersion> {
        &self.supported
    }

    /// False after a command raised the version to one that this release does not support. Nothing
    /// more may be executed then.
    #[must_use]
    pub fn is_supported(&self) -> bool {
        self.supported.contains(&self.version)
    }

    pub(crate) fn assert_supported(&self) {
        assert!(
            self.is_supported(),
            "version {} of the rules is in force, and {} to {} are known",
            self.version,
            self.supported.start(),
            self.supported.end()
        );
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{Command, HostId, Outcome, Position, Request, RequestId, Ts, ViewNumber};

    use super::*;
    use crate::RestoreError;

    fn supporting(newest: u16) -> Machine {
        Machine::supporting(MachineVersion(1)..=MachineVersion(newest))
    }

    fn entry(machine: &mut Machine) {
        let at = Position {
            view: ViewNumber(1),
            ts: machine.executed().ts.after(1),
            lane: HostId(1),
        };
        machine.begin_entry(at, &mut Vec::new());
    }

    fn raise(machine: &mut Machine, to: u16) -> Outcome {
        let request = Request {
            id: RequestId(0),
            deadline: Ts::MAX,
            origin: Default::default(),
            command: Command::RaiseVersion {
                to: MachineVersion(to),
            },
        };
        machine.apply(&request, &[], &mut Vec::new())
    }

    fn stored(mut machine: Machine) -> Vec<(Vec<u8>, Vec<u8>)> {
        let writes = machine.freeze().into_writes();
        writes
            .map(|(key, value)| (key, value.expect("nothing was deleted")))
            .collect()
    }

    #[test]
    fn the_version_only_rises() {
        let mut machine = supporting(3);
        for (to, is) in [(1, 1), (2, 2), (1, 2), (3, 3), (2, 3)] {
            entry(&mut machine);
            assert_eq!(raise(&mut machine, to), Outcome::Done);
            assert_eq!(machine.version(), MachineVersion(is));
            assert!(machine.is_supported());
        }
    }

    #[test]
    fn a_checkpoint_keeps_the_version() {
        let mut machine = supporting(2);
        entry(&mut machine);
        raise(&mut machine, 2);
        let hash = machine.full_hash();
        let versions = MachineVersion(1)..=MachineVersion(2);
        let restored = Machine::restore_supporting(versions, stored(machine)).unwrap();
        assert_eq!(restored.version(), MachineVersion(2));
        assert_eq!(restored.full_hash(), hash);
    }

    #[test]
    fn a_checkpoint_of_an_unsupported_version_is_refused_whatever_else_it_holds() {
        let mut machine = supporting(9);
        entry(&mut machine);
        raise(&mut machine, 9);
        let mut rows = stored(machine);
        // What a later release may have added.
        rows[0].1.push(1);
        rows.insert(0, (vec![99], vec![]));
        let versions = MachineVersion(2)..=MachineVersion(3);
        let error = Machine::restore_supporting(versions, rows).unwrap_err();
        assert_eq!(
            error,
            RestoreError::Version {
                stored: MachineVersion(9),
                oldest: MachineVersion(2),
                newest: MachineVersion(3),
            }
        );
        assert_eq!(
            error.to_string(),
            "the checkpoint is of machine version 9, and this release supports 2 to 3"
        );
    }

    #[test]
    fn after_a_raise_that_it_does_not_support_a_machine_tells() {
        let mut machine = supporting(2);
        entry(&mut machine);
        raise(&mut machine, 3);
        assert!(!machine.is_supported());
    }

    #[test]
    #[should_panic(expected = "version 3 of the rules is in force, and 1 to 2 are known")]
    fn a_machine_executes_nothing_by_rules_that_it_does_not_know() {
        let mut machine = supporting(2);
        entry(&mut machine);
        raise(&mut machine, 3);
        entry(&mut machine);
    }
}
