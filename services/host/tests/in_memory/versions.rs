//! Releases side by side: when a new version of the rules comes into force, and who stops.

use super::rig::Rig;
use super::{A, B, C, sequence_of, trio};
use shoal_host::core::RecoveryError;
use shoal_queue::{MACHINE_VERSION_NEXT, RestoreError};
use shoal_replication::StateReport;
use shoal_storage::Disk as _;
use shoal_types::{Command, ErrorCode, HostId, MachineVersion};

fn versions(rig: &Rig) -> Vec<u16> {
    let hosts = rig.hosts().into_iter();
    hosts
        .map(|host| rig.core(host).machine().version().0)
        .collect()
}

fn replace_release(rig: &mut Rig, host: HostId, newest: u16) {
    rig.kill(host);
    rig.install_release(host, newest);
    rig.run_for(600_000);
    rig.start(host);
    rig.run_until(|rig| rig.acting().len() == rig.hosts().len());
}

#[test]
fn the_version_is_raised_once_when_the_last_host_supports_it() {
    let mut rig = Rig::of_releases(&[2, 3, 1]);
    rig.run_for(3_000_000);
    assert_eq!(versions(&rig), [1, 1, 1]);
    replace_release(&mut rig, C, 3);
    rig.run_until(|rig| versions(rig) == [2, 2, 2]);
    rig.run_for(5_000_000);
    assert_eq!(versions(&rig), [2, 2, 2], "A supports no more");
    assert_eq!(rig.raises(B), 1);
    assert_eq!(sequence_of(rig.send(C, "goes on").unwrap()), 1);
}

#[test]
fn one_host_alone_raises_the_version_itself() {
    let mut rig = Rig::of_releases(&[2]);
    rig.run_until(|rig| versions(rig) == [2]);
    assert_eq!(rig.raises(A), 1);
}

#[test]
fn a_member_that_is_away_holds_the_raise_back() {
    let mut rig = Rig::of_releases(&[2, 2, 1]);
    rig.kill(C);
    rig.run_for(5_000_000);
    assert_eq!(rig.core(A).machine().version(), MachineVersion(1));
    rig.install_release(C, 2);
    rig.start(C);
    rig.run_until(|rig| versions(rig) == [2, 2, 2]);
    rig.run_for(3_000_000);
    assert_eq!((rig.raises(A), rig.raises(B)), (1, 1));
}

#[test]
fn a_host_restarted_from_a_checkpoint_before_the_raise_comes_to_the_same_version() {
    let mut rig = Rig::of_releases(&[2, 2, 1]);
    rig.send(A, "before").unwrap();
    rig.run_for(61_000_000);
    replace_release(&mut rig, C, 2);
    rig.run_until(|rig| versions(rig) == [2, 2, 2]);
    // First from the checkpoint of version 1 and the log, then from one of version 2.
    for _ in 0..2 {
        replace_release(&mut rig, A, 2);
        rig.send(B, "after").unwrap();
        rig.run_for(1_000_000);
        assert_eq!(versions(&rig), [2, 2, 2]);
        assert_eq!(rig.raises(B), 1);
        let hash = |host| rig.core(host).machine().full_hash();
        assert_eq!(hash(A), hash(B));
        rig.run_for(61_000_000);
    }
    assert_eq!(
        rig.raises(A),
        2,
        "as it happened, and from the log, but not again"
    );
}

#[test]
fn a_release_that_is_too_old_does_not_start() {
    let mut rig = Rig::of_releases(&[2, 2, 2]);
    rig.run_until(|rig| versions(rig) == [2, 2, 2]);
    // The raise is in the log, sealed by a later view, so that a start executes it.
    replace_release(&mut rig, B, 2);
    rig.kill(C);
    rig.install_release(C, 1);
    let from_the_log = rig.try_start(C).unwrap_err();
    assert!(matches!(from_the_log, RecoveryError::Stopped(_)));
    assert_eq!(
        from_the_log.to_string(),
        "this host must not start: the cluster executes by machine version 2, and this release \
         supports 1 to 1; start a release that supports it"
    );
    rig.install_release(C, 2);
    rig.start(C);
    rig.run_for(61_000_000);
    rig.kill(C);
    rig.install_release(C, 1);
    let from_the_checkpoint = rig.try_start(C).unwrap_err();
    let RecoveryError::Queues(why @ RestoreError::Version { .. }) = from_the_checkpoint else {
        panic!("{from_the_checkpoint}")
    };
    assert_eq!(
        why.to_string(),
        "the checkpoint is of machine version 2, and this release supports 1 to 1"
    );
    assert!(rig.send(A, "the others go on").is_ok());
}

/// The newest formats on a host's disk: of segments, and of the checkpoint's head.
fn formats(rig: &Rig, host: HostId) -> (u8, u8) {
    let disk = rig.disk(host);
    let format_of = |name: &String| {
        let mut format = [0];
        disk.open(name).unwrap().read_at(8, &mut format).unwrap();
        format[0]
    };
    let newest = |suffix: &str| {
        let names = disk.list().unwrap().into_iter();
        let files = names.filter(|name| name.ends_with(suffix));
        files.map(|name| format_of(&name)).max()
    };
    (newest(".segment").unwrap(), newest(".head").unwrap())
}

#[test]
fn formats_follow_the_rules_so_a_release_may_be_put_back_until_the_last_host_goes_over() {
    let next = MACHINE_VERSION_NEXT.0;
    let before = next - 1;
    let mut rig = Rig::of_releases(&[before; 3]);
    rig.run_until(|rig| versions(rig) == [before; 3]);
    for newest in [next, before, next] {
        replace_release(&mut rig, A, newest);
        rig.send(A, "side by side").unwrap();
        rig.run_for(61_000_000);
        assert_eq!(versions(&rig), [before; 3]);
        assert_eq!(formats(&rig, A), (1, 2), "with release {newest}");
    }
    for host in [B, C] {
        replace_release(&mut rig, host, next);
    }
    rig.run_until(|rig| versions(rig) == [next; 3]);
    // Each life begins a segment.
    replace_release(&mut rig, A, next);
    rig.send(A, "all went over").unwrap();
    rig.run_for(61_000_000);
    assert_eq!(formats(&rig, A), (2, 3));

    rig.kill(A);
    rig.install_release(A, before);
    let refused = rig.try_start(A).unwrap_err();
    let why = "it has checkpoint format version 3, this release reads 2";
    assert!(refused.to_string().contains(why), "{refused}");
    rig.install_release(A, next);
    rig.start(A);
    rig.run_until(|rig| rig.acting().len() == 3);
    assert!(rig.send(A, "and goes on").is_ok());
}

fn report(version: u16, supports: u16) -> StateReport {
    StateReport {
        version: MachineVersion(version),
        supports: MachineVersion(supports),
        mark: None,
    }
}

#[test]
fn a_host_that_hears_of_rules_it_does_not_know_stops() {
    let mut rig = trio();
    rig.may_stop(C);
    let ahead = rig.heartbeat(A, report(9, 9));
    rig.hear(C, A, ahead);
    let reason = rig.fatal(C).unwrap();
    assert!(reason.contains("machine version 9"), "{reason}");
    assert!(reason.contains("supports 1 to 1"), "{reason}");
    rig.run_for(600_000);
    assert!(rig.send(B, "the others go on").is_ok());
}

#[test]
fn a_host_that_executes_a_raise_to_rules_it_does_not_know_stops() {
    // C announced support, and an older release was started there before the raise was executed.
    let mut rig = Rig::of_releases(&[2, 2, 1]);
    rig.may_stop(C);
    let announced = rig.heartbeat(C, report(1, 2));
    rig.hear(A, C, announced);
    rig.run_until(|rig| rig.fatal(C).is_some());
    let reason = rig.fatal(C).unwrap();
    assert!(reason.contains("machine version 2"), "{reason}");
    rig.run_for(600_000);
    assert!(rig.send(B, "the others go on").is_ok());
    assert_eq!(rig.core(A).machine().version(), MachineVersion(2));
}

#[test]
fn a_client_cannot_raise_the_version() {
    let mut rig = Rig::of_releases(&[2, 2, 1]);
    let to = MachineVersion(2);
    let refusal = rig
        .execute(A, Command::RaiseVersion { to }, vec![])
        .unwrap_err();
    assert_eq!(refusal.code, ErrorCode::InvalidRequest);
}
