//! Formation: view 1 is written once; members may hear of it at different times.

mod rig;

use rig::{MS, Rig, SECOND};
use shoal_replication::{FormError, NotReady, Timings};
use shoal_types::{ClusterId, HostId};

#[test]
fn a_host_that_is_not_formed_takes_no_commands() {
    let mut rig = Rig::unformed(3, 1, Timings::default());
    rig.run_for(SECOND);
    assert_eq!(rig.submit(0).unwrap_err(), NotReady::NotFormed);
    assert_eq!(rig.frames, [0; 3], "it knows nobody to speak to");
}

#[test]
fn the_same_list_again_does_nothing_and_another_is_refused() {
    let mut rig = Rig::formed(3);
    rig.run_for(100 * MS);
    let (now, spec) = (rig.now_of(0), rig.spec.clone());
    let mut moved = spec.clone();
    moved.members[1].address = "elsewhere:9".to_owned();
    assert_eq!(rig.engine(0).form(&moved, now), Ok(()));
    let mut fewer = spec.clone();
    fewer.members.pop();
    let refused = Err(FormError::FormedOtherwise(spec.cluster));
    assert_eq!(rig.engine(0).form(&fewer, now), refused);
    let mut other = spec;
    other.cluster = ClusterId(8);
    assert_eq!(rig.engine(0).form(&other, now), refused);
}

#[test]
fn a_wrong_list_is_refused() {
    let mut rig = Rig::unformed(3, 1, Timings::default());
    let (now, spec) = (rig.now_of(0), rig.spec.clone());
    let mut form = |change: &dyn Fn(&mut shoal_types::ClusterSpec)| {
        let mut wrong = spec.clone();
        change(&mut wrong);
        rig.engine(0).form(&wrong, now).unwrap_err()
    };
    assert_eq!(form(&|s| s.members.reverse()), FormError::BadList);
    assert_eq!(form(&|s| s.members.clear()), FormError::BadList);
    let twice = |s: &mut shoal_types::ClusterSpec| s.members[1] = s.members[0].clone();
    assert_eq!(form(&twice), FormError::BadList);
    assert_eq!(
        form(&|s| s.members[0].host = HostId(0)),
        FormError::NotListed
    );
}

#[test]
fn a_member_that_hears_of_it_late_comes_in() {
    let mut rig = Rig::unformed(3, 1, Timings::default());
    rig.run_for(MS);
    rig.form(0);
    rig.run_for(SECOND);
    assert!(!rig.takes_commands(0), "one of three is no quorum");
    rig.form(1);
    rig.run_until(2 * SECOND, |rig| {
        rig.takes_commands(0) && rig.takes_commands(1)
    });
    rig.round(0);
    rig.run_for(SECOND);
    rig.form(2);
    rig.run_until_converged(2 * SECOND);
    assert_eq!(rig.writers_of(0), [0, 1, 2]);
}

#[test]
fn formation_survives_a_restart() {
    let mut rig = Rig::formed(3);
    rig.run_for(MS);
    for h in 0..3 {
        rig.kill(h);
    }
    for h in 0..3 {
        rig.start(h);
    }
    rig.run_until_converged(SECOND);
    rig.form(0);
    rig.round(0);
}

#[test]
fn a_host_that_lost_power_before_its_record_was_durable_is_formed_again() {
    let mut rig = Rig::unformed(3, 1, Timings::default());
    rig.run_for(MS);
    for h in 0..3 {
        rig.form(h);
    }
    rig.power_off(1);
    rig.start(1);
    rig.run_for(10 * MS);
    assert_eq!(rig.view_of(1), 0);
    rig.form(1);
    rig.run_until_converged(2 * SECOND);
    rig.round(1);
}
