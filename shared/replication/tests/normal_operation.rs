//! Normal operation: what a command costs, and that everyone executes the same.

mod rig;

use rig::{MS, Rig};

#[test]
fn a_lone_command_takes_one_round_trip_and_one_sync() {
    let mut rig = Rig::formed(3);
    rig.run_for(100 * MS);
    // One way 40 µs, sync 100 µs: to the peer, its sync, and back.
    assert_eq!(rig.round(0), 40 + 100 + 40);
    rig.run_until_converged(25 * MS);
}
