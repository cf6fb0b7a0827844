//! Members that come and go.

use super::rig::Rig;
use super::{A, B, C, D, sequence_of, trio};
use shoal_types::{ErrorCode, HostReply, HostRequest, HostState, Revision};

#[test]
fn a_host_that_is_added_has_every_message_and_one_that_is_removed_says_so() {
    let mut rig = trio();
    for body in ["a", "b", "c"] {
        rig.send(A, body).unwrap();
    }
    rig.add_host(D);
    assert_eq!(rig.core(D).state(), HostState::Unassigned);
    let mut spec = rig.spec();
    spec.revision = Revision(3);
    let learn = HostRequest::Learn { spec: spec.clone() };
    assert_eq!(rig.ask(D, learn.clone()), Ok(HostReply::Learning));
    assert_eq!(rig.core(D).state(), HostState::Learning);
    let add = HostRequest::ChangeMembers { spec: spec.clone() };
    assert_eq!(rig.ask(B, add.clone()), Ok(HostReply::MembersChanged));
    rig.run_until(|rig| rig.acting().len() == 4);
    let hash = |rig: &Rig, host| rig.core(host).machine().state_hash();
    assert_eq!(rig.core(D).machine().totals(), (3, 3));
    assert_eq!(hash(&rig, D), hash(&rig, A));
    assert_eq!(sequence_of(rig.send(D, "d").unwrap()), 4);
    // Again, at another host.
    assert_eq!(rig.ask(C, add.clone()), Ok(HostReply::MembersChanged));
    assert_eq!(rig.ask(D, learn), Ok(HostReply::Learning));

    spec.members.remove(0);
    let refusal = rig.ask(B, HostRequest::ChangeMembers { spec: spec.clone() });
    assert_eq!(
        refusal.unwrap_err().code,
        ErrorCode::Fenced,
        "same revision"
    );
    spec.revision = Revision(4);
    let remove = HostRequest::ChangeMembers { spec };
    assert_eq!(rig.ask(A, remove), Ok(HostReply::MembersChanged));
    assert_eq!(rig.core(A).state(), HostState::Removed);
    let refusal = rig.send(A, "e").unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotReady);
    rig.run_until(|rig| rig.acting().len() == 3);
    assert_eq!(sequence_of(rig.send(B, "e").unwrap()), 5);
    let refusal = rig.ask(B, add).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Fenced, "an old order");
    assert!(!refusal.code.retryable());

    // All of it is on disk.
    rig.power_off();
    for host in [A, B, C, D] {
        rig.start(host);
    }
    assert_eq!(rig.core(A).state(), HostState::Removed);
    rig.run_until(|rig| rig.acting().len() == 3);
    assert_eq!(sequence_of(rig.send(D, "f").unwrap()), 6);
}

#[test]
fn a_host_that_cannot_be_reached_is_not_added_and_the_order_is_refused_in_the_end() {
    let mut rig = trio();
    rig.add_host(D);
    let mut spec = rig.spec();
    spec.revision = Revision(3);
    rig.kill(D);
    let refusal = rig.ask(A, HostRequest::ChangeMembers { spec }).unwrap_err();
    assert_eq!(refusal.code, ErrorCode::NotReady);
    assert!(refusal.code.retryable());
    assert_eq!(rig.acting().len(), 3);
    rig.send(A, "x").unwrap();
}
