//! The rehearsal of the release after this one, which upgrades are tried with.
//!
//! Two releases run side by side while a cluster is upgraded. To try that before there is a second one,
//! the feature `next-release` makes a build that is one version further in everything that two releases
//! have to agree on: the rules of execution, the wire and the formats on disk. What such a build would
//! really bring is not known yet; its formats only have to differ from ours in earnest. They stand where a
//! real successor's would, one more arm of a `match`, and in every build, so that all tests can speak of
//! both releases. Whoever makes the next version real moves these numbers on by one.
//!
//! No member turns the feature on by itself; only a command line does. `shoal` refuses to be built with it
//! unless a variable says that it is meant, and calls itself `next-release` then.

use shoal_queue::{MACHINE_VERSION_MAX, MACHINE_VERSION_NEXT};
use shoal_storage::DiskVersion;
use shoal_transport::handshake::VERSIONS;
use shoal_types::WireVersion;

/// True in builds that act as the release after this one.
pub const NEXT_RELEASE: bool = cfg!(feature = "next-release");

// All of it or nothing: another package's feature may have turned on a part.
const _: () = assert!((MACHINE_VERSION_MAX.0 == MACHINE_VERSION_NEXT.0) == NEXT_RELEASE);
const _: () = assert!(matches!(DiskVersion::NEWEST, DiskVersion::V2) == NEXT_RELEASE);
const _: () = assert!(matches!(VERSIONS.end(), WireVersion::V3) == NEXT_RELEASE);
