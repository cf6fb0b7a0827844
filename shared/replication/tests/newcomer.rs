//! What a newcomer's word counts, one host and hand-fed messages: random schedules meet the moments in
//! which it would matter seldom.

use shoal_replication::{
    Ballot, Engine, EngineCheckpoint, EngineConfig, Heartbeat, HostPhase, Message, NotInstallable,
    Output, RecordNumber, Standing, View,
};
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, HostId, Incarnation, Mono, Now, Position, Revision, Ts,
    ViewNumber,
};

const ME: HostId = HostId(1);
const PEER: HostId = HostId(2);
const OTHER: HostId = HostId(3);
const NEWCOMER: HostId = HostId(4);
const FIRST: ViewNumber = ViewNumber(1);
const NEXT: ViewNumber = ViewNumber(2);

fn now(ms: u64) -> Now {
    Now {
        mono: Mono(ms * 1_000),
        wall: Ts(1_700_000_000_000_000 + ms * 1_000),
    }
}

fn list(hosts: u64, revision: u64) -> ClusterSpec {
    let member = |h: u64| ClusterMember {
        host: HostId(h),
        address: String::new(),
    };
    ClusterSpec {
        cluster: ClusterId(1),
        members: (1..=hosts).map(member).collect(),
        revision: Revision(revision),
        only: None,
    }
}

/// One host whose disk is as fast as it is asked to be.
struct Bench {
    engine: Engine,
    written: RecordNumber,
    at: u64,
}

impl Bench {
    fn new(host: HostId) -> Self {
        let mut bench = Self {
            engine: Engine::new(EngineConfig::new(host, 1), None, now(0)),
            written: RecordNumber(0),
            at: 0,
        };
        bench.engine.started(now(0));
        bench.said();
        bench
    }

    /// A member of three that is to add the newcomer, which has caught up.
    fn adding() -> Self {
        let mut bench = Self::new(ME);
        bench.engine.form(&list(3, 1), now(0)).unwrap();
        bench.said();
        bench.engine.change_members(&list(4, 2), now(0)).unwrap();
        bench.said();
        bench.hear(NEWCOMER, following());
        bench
    }

    /// The same, with its Prepare on the way.
    fn preparing() -> Self {
        let mut bench = Self::adding();
        let said = bench.said();
        let asked = |to| said.iter().any(|(t, m)| *t == to && is_pre_vote(m));
        assert!(asked(PEER) && !asked(NEWCOMER));
        bench.hear(PEER, Message::PreVoted { view: NEXT });
        bench
    }

    fn hear(&mut self, from: HostId, message: Message) {
        self.engine.handle_message(from, message, now(self.at));
    }

    fn wait(&mut self, ms: u64) {
        self.at += ms;
        self.engine.handle_timeout(now(self.at));
    }

    /// Syncs until nothing more comes; all that was said.
    fn said(&mut self) -> Vec<(HostId, Message)> {
        let mut said = Vec::new();
        loop {
            let mut more = false;
            while let Some(output) = self.engine.poll_output() {
                match output {
                    Output::Persist { number, .. } => {
                        self.written = number;
                        more = true;
                    }
                    Output::Send { to, message }
                    | Output::SendAfterPersisted { to, message, .. } => said.push((to, message)),
                    _ => {}
                }
            }
            if !more {
                return said;
            }
            self.engine.handle_persisted(self.written, now(self.at));
        }
    }
}

fn is_pre_vote(message: &Message) -> bool {
    matches!(message, Message::PreVote { reason, .. } if reason.changing == Some(Revision(2)))
}

fn following() -> Message {
    Message::Heartbeat(Heartbeat {
        view: FIRST,
        incarnation: Incarnation(1),
        life: 1,
        phase: HostPhase::Learning,
        announced: None,
        unheard: vec![],
        durable: vec![0, 0, 0],
        wall: now(0).wall,
        disk_used_percent: 0,
        state: Default::default(),
    })
}

fn ballot_of(said: &[(HostId, Message)]) -> Ballot {
    let ballot = said.iter().find_map(|(_, message)| match message {
        Message::Prepare { ballot, .. } => Some(*ballot),
        _ => None,
    });
    ballot.expect("it prepares")
}

fn promise(ballot: Ballot) -> Message {
    Message::Promise {
        view: NEXT,
        ballot,
        accepted: None,
        durable: vec![0, 0, 0],
        held: vec![0, 0, 0],
        clock: Ts(5),
        incarnation: Incarnation(1),
        wants_out: false,
        hears: vec![ME, PEER, OTHER],
    }
}

fn accepted(ballot: Ballot) -> Message {
    Message::Accepted { view: NEXT, ballot }
}

/// Whom a value was sent to.
fn asked_to_accept(said: &[(HostId, Message)]) -> Vec<HostId> {
    let asked = said.iter().filter_map(|(to, message)| match message {
        Message::Accept { value, .. } => {
            assert_eq!(value.members, [ME, PEER, OTHER, NEWCOMER]);
            assert_eq!(value.ends.len(), 3);
            assert!(!value.active.contains(&NEWCOMER));
            Some(*to)
        }
        _ => None,
    });
    asked.collect()
}

#[test]
fn a_newcomer_is_not_asked_for_a_promise_and_one_of_its_counts_for_nothing() {
    let mut bench = Bench::preparing();
    let said = bench.said();
    let ballot = ballot_of(&said);
    let prepared = said
        .iter()
        .filter(|(_, m)| matches!(m, Message::Prepare { .. }));
    let prepared: Vec<HostId> = prepared.map(|(to, _)| *to).collect();
    assert_eq!(prepared, [PEER, OTHER]);
    bench.hear(NEWCOMER, promise(ballot));
    bench.wait(50);
    assert_eq!(
        asked_to_accept(&bench.said()),
        [],
        "one of three has promised"
    );
    bench.hear(PEER, promise(ballot));
    bench.wait(50);
    let asked = asked_to_accept(&bench.said());
    // It asks again while nobody answers.
    assert_eq!(asked[..3], [PEER, OTHER, NEWCOMER]);
}

/// A host that has sent its value out and accepted it itself.
fn proposing() -> (Bench, Ballot) {
    let mut bench = Bench::preparing();
    let ballot = ballot_of(&bench.said());
    bench.hear(PEER, promise(ballot));
    bench.wait(50);
    bench.said();
    (bench, ballot)
}

#[test]
fn a_value_with_other_members_needs_both_quorums() {
    // Two of the three before, but only two of the four after.
    let (mut bench, ballot) = proposing();
    bench.hear(PEER, accepted(ballot));
    assert_eq!(bench.engine.view().number, FIRST);
    bench.hear(NEWCOMER, accepted(ballot));
    assert_eq!(bench.engine.view().number, NEXT);
    assert_eq!(bench.engine.view().members.len(), 4);
    // Its vote is none of the three before: the newcomer and this host are one of them.
    let (mut bench, ballot) = proposing();
    bench.hear(NEWCOMER, accepted(ballot));
    assert_eq!(bench.engine.view().number, FIRST);
    bench.hear(OTHER, accepted(ballot));
    assert_eq!(bench.engine.view().number, NEXT);
}

#[test]
fn a_newcomer_that_needs_a_snapshot_is_not_added() {
    let mut bench = Bench::new(ME);
    bench.engine.form(&list(3, 1), now(0)).unwrap();
    bench.engine.change_members(&list(4, 2), now(0)).unwrap();
    bench.said();
    let Message::Heartbeat(mut stranded) = following() else {
        panic!("it is a heartbeat");
    };
    stranded.phase = HostPhase::Stranded;
    bench.hear(NEWCOMER, Message::Heartbeat(stranded));
    bench.wait(50);
    assert!(!bench.said().iter().any(|(_, m)| is_pre_vote(m)));
    bench.hear(NEWCOMER, following());
    bench.wait(50);
    assert!(bench.said().iter().any(|(_, m)| is_pre_vote(m)));
}

/// A learner that has installed the first view of three.
fn learner() -> Bench {
    let mut bench = Bench::new(NEWCOMER);
    bench.engine.learn(&list(4, 2), now(0)).unwrap();
    let first = View {
        number: FIRST,
        members: vec![ME, PEER, OTHER],
        active: vec![ME, PEER, OTHER],
        start: Ts(1),
        ..View::default()
    };
    bench.hear(ME, Message::Install(first));
    bench.said();
    assert_eq!(bench.engine.standing(), Standing::Learner);
    bench
}

fn value(members: u64) -> View {
    let spec = list(members, 2);
    View {
        number: NEXT,
        members: spec.members.iter().map(|m| m.host).collect(),
        active: vec![ME],
        ends: vec![0, 0, 0],
        start: Ts(9),
        spec: (members > 3).then(|| Box::new(spec)),
        ..View::default()
    }
}

#[test]
fn a_learner_promises_and_acknowledges_nothing() {
    let mut learner = learner();
    let ballot = Ballot { round: 3, host: ME };
    learner.hear(ME, Message::Prepare { view: NEXT, ballot });
    learner.wait(100);
    for (_, message) in learner.said() {
        let follows = match &message {
            Message::Heartbeat(heartbeat) => heartbeat.phase == HostPhase::Learning,
            Message::Fetch { .. } => true,
            _ => false,
        };
        assert!(follows, "{message:?}");
    }
}

#[test]
fn a_learner_accepts_a_value_that_lists_it_and_no_other() {
    let ballot = Ballot { round: 3, host: ME };
    for members in [3, 4] {
        let mut learner = learner();
        let value = value(members);
        learner.hear(ME, Message::Accept { ballot, value });
        let said = learner.said();
        let voted = said.contains(&(ME, accepted(ballot)));
        assert_eq!(voted, members == 4, "{said:?}");
        assert_eq!(learner.engine.standing(), Standing::Learner);
    }
}

// ---- a peer's state ----

fn ballot() -> Ballot {
    Ballot {
        round: 3,
        host: PEER,
    }
}

/// A member of three that has promised a ballot, with the checkpoint of a peer that is further.
fn behind() -> (Engine, EngineCheckpoint) {
    let mut bench = Bench::new(ME);
    bench.engine.form(&list(3, 1), now(0)).unwrap();
    bench.said();
    let view = NEXT;
    bench.hear(
        PEER,
        Message::Prepare {
            view,
            ballot: ballot(),
        },
    );
    bench.said();
    let mut theirs = bench.engine.checkpoint();
    theirs.incarnation = Incarnation(40);
    theirs.promised = None;
    theirs.executed = Position {
        view: FIRST,
        ts: Ts(now(0).wall.0 + 1),
        lane: PEER,
    };
    theirs.executed_in_lanes = vec![0, 1, 0];
    (bench.engine, theirs)
}

#[test]
fn a_host_that_takes_a_peers_state_keeps_its_own_votes_and_lives() {
    let (engine, theirs) = behind();
    let mine = engine.checkpoint();
    assert_eq!(mine.promised, Some((NEXT, ballot())));
    let merged = engine.checkpoint_from_peer(&theirs).unwrap();
    assert_eq!(merged.promised, mine.promised);
    assert_eq!(merged.incarnation, mine.incarnation);
    assert_eq!(merged.executed, theirs.executed);
    assert_eq!(merged.executed_in_lanes, theirs.executed_in_lanes);
    // From there it starts like from any checkpoint, and refuses what it had promised to refuse.
    let mut again = Engine::new(EngineConfig::new(ME, 1), Some(merged), now(9));
    again.started(now(9));
    assert_eq!(again.promised(NEXT), Some(ballot()));
}

#[test]
fn a_state_of_another_cluster_an_older_view_or_an_earlier_place_is_not_taken() {
    let (engine, theirs) = behind();
    assert_eq!(engine.may_install(&theirs), Ok(()));
    let mut other = theirs.clone();
    other.spec.as_mut().unwrap().cluster = ClusterId(2);
    let refused = engine.may_install(&other);
    assert_eq!(
        refused,
        Err(NotInstallable::OtherCluster(Some(ClusterId(2))))
    );

    let mut earlier = theirs.clone();
    earlier.executed = Position::ZERO;
    let refused = engine.may_install(&earlier);
    assert!(
        matches!(refused, Err(NotInstallable::NotNewer { .. })),
        "{refused:?}"
    );

    let mut without_me = theirs.clone();
    let mut next = without_me.views.last().unwrap().clone();
    (next.number, next.members) = (NEXT, vec![PEER, OTHER]);
    without_me.views.push(next);
    without_me.executed_in_lanes.pop();
    assert_eq!(
        engine.may_install(&without_me),
        Err(NotInstallable::NotMember)
    );

    let mut later = theirs.clone();
    later.views.last_mut().unwrap().number = NEXT;
    let engine = Engine::new(EngineConfig::new(ME, 1), Some(later), now(9));
    let refused = engine.may_install(&theirs);
    let older = NotInstallable::OlderView {
        mine: NEXT,
        theirs: FIRST,
    };
    assert_eq!(refused, Err(older));
}
