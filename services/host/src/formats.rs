//! From which machine version on this host writes which formats.
//!
//! A release may be put back as long as its rules are in force: until all members run a release that knows
//! newer ones. So formats follow the machine version: whatever this host writes while a version is in
//! force, every release can read that supports it. Snapshots are counted with the disk's formats, as what
//! they carry lies on a disk before and afterwards.

use shoal_queue::MACHINE_VERSION_NEXT;
use shoal_storage::DiskVersion;
use shoal_types::MachineVersion;

/// What is written while this machine version is in force; what a release reads whose newest it is.
#[must_use]
pub fn disk_version(machine: MachineVersion) -> DiskVersion {
    if machine >= MACHINE_VERSION_NEXT {
        DiskVersion::V2
    } else {
        DiskVersion::V1
    }
}

#[cfg(test)]
mod tests {
    use shoal_queue::{MACHINE_VERSION_MAX, MACHINE_VERSION_MIN};

    use super::*;

    #[test]
    fn a_release_reads_whatever_is_written_by_the_rules_that_it_supports() {
        assert_eq!(disk_version(MACHINE_VERSION_MAX), DiskVersion::NEWEST);
        assert_eq!(disk_version(MACHINE_VERSION_MIN), DiskVersion::V1);
    }
}
