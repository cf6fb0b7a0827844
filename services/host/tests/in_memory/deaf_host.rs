//! What clients of a host are told that does not hear one of the others: the truth, and soon.

use super::rig::{QUEUE, Rig, receive, send_of};
use shoal_types::{
    Applied, Command, ErrorCode, HostId, HostReply, HostState, Outcome, QueueSettings, Ts,
};

const A: HostId = HostId(1);
const B: HostId = HostId(2);
const C: HostId = HostId(3);

/// The shortest silence that is suspicious, and what it takes to agree on it then.
const NOTICED: u64 = 300_000 + 50_000;

fn trio() -> Rig {
    Rig::with_queue(3, QueueSettings::default())
}

/// Clients of such a host waited for 881 ms (median, real processes), since the others did not know.
#[test]
fn a_receive_that_waits_at_a_deaf_host_is_refused_and_finds_its_message_elsewhere() {
    let mut rig = trio();
    let request = rig.request(receive(1, Some(Ts(u64::MAX / 2))));
    let waiting = rig.call(B, request.clone(), vec![]);
    rig.run_for(50_000);
    rig.cut_one_way(A, B);
    rig.run_for(NOTICED);
    let (result, _) = rig.answer(waiting).expect("it is answered by now");
    assert_eq!(result.unwrap_err().code, ErrorCode::NotReady);
    let again = rig.call(C, request, vec![]);
    rig.send(A, "for who waits").unwrap();
    rig.run_until(|rig| rig.is_answered(again));
    let (result, bodies) = rig.answer(again).unwrap();
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(bodies, ["for who waits"]);
}

/// What was in the order before the view changed was given to who waited there, and is not taken back.
#[test]
fn a_message_sent_meanwhile_is_given_to_who_waits_at_a_deaf_host_and_to_nobody_else() {
    let mut rig = trio();
    let request = rig.request(receive(1, Some(Ts(u64::MAX / 2))));
    let waiting = rig.call(B, request, vec![]);
    rig.run_for(50_000);
    rig.cut_one_way(A, B);
    rig.send(A, "for who waits").unwrap();
    rig.run_for(NOTICED);
    let (result, bodies) = rig.answer(waiting).expect("it is answered by now");
    assert!(result.is_ok(), "{result:?}");
    assert_eq!(bodies, ["for who waits"]);
    let another = rig.execute(C, receive(1, None), vec![]);
    assert_eq!(another, Ok(Outcome::Received(vec![])));
}

/// What a deaf host has sent off is in the order or it is not; once the view has changed it knows which.
#[test]
fn a_send_under_way_at_a_deaf_host_is_answered_truly() {
    let mut rig = trio();
    rig.cut_one_way(A, B);
    let request = rig.request(send_of("under way"));
    let under_way = rig.call(B, request, vec!["under way".into()]);
    rig.run_for(NOTICED);
    let (result, _) = rig.answer(under_way).expect("it is answered by now");
    assert!(
        matches!(result, Ok(HostReply::Outcome(Outcome::Sent(_)))),
        "all others have it on disk: {result:?}"
    );
    let got = rig.execute(C, receive(9, None), vec![]).unwrap();
    assert!(matches!(got, Outcome::Received(got) if got.len() == 1));
}

/// A host that is out of the view for a moment keeps commands for the next one. One that hears badly
/// is not back in a moment.
#[test]
fn a_deaf_host_refuses_at_once_and_takes_commands_again_when_it_hears() {
    let mut rig = trio();
    rig.cut_one_way(A, B);
    rig.run_for(NOTICED);
    let purge = Command::Purge { partition: QUEUE };
    let request = rig.request(purge.clone());
    let refused = rig.call(B, request, vec![]);
    rig.run_for(1_000);
    let (result, _) = rig.answer(refused).expect("it is not kept waiting");
    let refusal = result.unwrap_err();
    assert_eq!(
        (refusal.code, refusal.applied),
        (ErrorCode::NotReady, Applied::No)
    );
    assert_eq!(rig.execute(A, purge.clone(), vec![]).map(drop), Ok(()));
    rig.mend();
    rig.run_until(|rig| rig.core(B).state() == HostState::Acting);
    assert_eq!(rig.execute(B, purge, vec![]).map(drop), Ok(()));
}
