//! What must be durable before a vote leaves, one host and hand-fed messages: random schedules meet
//! these windows seldom.

use std::sync::Arc;

use shoal_replication::{
    Ballot, Engine, EngineConfig, Entry, Message, Output, Payload, Record, RecordNumber, View,
};
use shoal_types::{
    ClusterId, ClusterMember, ClusterSpec, HostId, Incarnation, Mono, Now, Origin, Revision, Ts,
    ViewNumber,
};

const ME: HostId = HostId(1);
const PEER: HostId = HostId(2);
const RIVAL: HostId = HostId(3);
const NEXT: ViewNumber = ViewNumber(2);

fn now(ms: u64) -> Now {
    Now {
        mono: Mono(ms * 1_000),
        wall: Ts(1_700_000_000_000_000 + ms * 1_000),
    }
}

/// One host of three that acts in view 1.
struct Bench {
    engine: Engine,
    written: Vec<Record>,
}

impl Bench {
    fn acting() -> Self {
        let engine = Engine::new(EngineConfig::new(ME, 1), None, now(0));
        let written = Vec::new();
        let mut bench = Self { engine, written };
        bench.engine.started(now(0));
        bench.sync();
        let member = |h: u64| ClusterMember {
            host: HostId(h),
            address: String::new(),
        };
        let spec = ClusterSpec {
            cluster: ClusterId(1),
            members: (1..=3).map(member).collect(),
            revision: Revision(1),
            only: None,
        };
        bench.engine.form(&spec, now(1)).unwrap();
        bench.sync();
        assert!(bench.engine.status().acting);
        bench
    }

    /// Everything sent at once; what is written waits for `sync`.
    fn sent(&mut self) -> Vec<(HostId, Message)> {
        self.outputs().0
    }

    /// What is sent at once, and what only after which record.
    #[allow(clippy::type_complexity, reason = "two lists, used in this file only")]
    fn outputs(&mut self) -> (Vec<(HostId, Message)>, Vec<(RecordNumber, Message)>) {
        let (mut sent, mut after_persisted) = (Vec::new(), Vec::new());
        while let Some(output) = self.engine.poll_output() {
            match output {
                Output::Persist { number, record } => {
                    self.written.push(record);
                    assert_eq!(number.0 as usize, self.written.len());
                }
                Output::Send { to, message } => sent.push((to, message)),
                Output::SendAfterPersisted { after, message, .. } => {
                    after_persisted.push((after, message));
                }
                _ => {}
            }
        }
        (sent, after_persisted)
    }

    fn last_record(&self) -> RecordNumber {
        RecordNumber(self.written.len() as u64)
    }

    fn sync(&mut self) -> Vec<(HostId, Message)> {
        let mut sent = self.sent();
        self.engine.handle_persisted(self.last_record(), now(1));
        sent.extend(self.sent());
        sent
    }

    fn hear(&mut self, from: HostId, message: Message) {
        self.engine.handle_message(from, message, now(1));
    }
}

fn ballot(round: u64, host: HostId) -> Ballot {
    Ballot { round, host }
}

fn entry(index: u64) -> Arc<Entry> {
    Arc::new(Entry {
        view: ViewNumber(1),
        lane: PEER,
        index,
        ts: Ts(1_700_000_000_000_000 + index),
        payload: Payload::from(bytes::Bytes::from_static(b"x")),
    })
}

fn value(peer_end: u64) -> View {
    let origin = |host: HostId| Origin {
        host,
        incarnation: Incarnation(1),
    };
    View {
        number: NEXT,
        members: vec![ME, PEER, RIVAL],
        active: vec![ME, PEER],
        incarnations: vec![origin(ME), origin(PEER)],
        ends: vec![0, peer_end, 0],
        start: Ts(1_700_000_000_000_100),
        spec: None,
    }
}

fn prepare(ballot: Ballot) -> Message {
    Message::Prepare { view: NEXT, ballot }
}

fn promises(sent: &[(HostId, Message)]) -> Vec<Vec<u64>> {
    let durable = |(_, message): &(HostId, Message)| match message {
        Message::Promise { durable, .. } => Some(durable.clone()),
        _ => None,
    };
    sent.iter().filter_map(durable).collect()
}

fn is_ack(message: &Message) -> bool {
    matches!(message, Message::Ack { .. } | Message::Clock { .. })
}

#[test]
fn a_promise_waits_for_its_sync_and_takes_its_vector_then() {
    let mut bench = Bench::acting();
    bench.hear(PEER, Message::Append(entry(1)));
    bench.hear(PEER, prepare(ballot(1, PEER)));
    assert_eq!(promises(&bench.sent()), [] as [Vec<u64>; 0]);
    let sent = bench.sync();
    assert_eq!(promises(&sent), [vec![0, 1, 0]]);
    assert!(!sent.iter().any(|(_, m)| is_ack(m)), "it is suspended");
}

#[test]
fn nothing_is_acknowledged_or_taken_once_a_prepare_has_come() {
    let mut bench = Bench::acting();
    bench.hear(PEER, prepare(ballot(1, PEER)));
    bench.hear(PEER, Message::Append(entry(1)));
    let sent = bench.sync();
    assert!(!sent.iter().any(|(_, m)| is_ack(m)));
    assert!(!bench.engine.status().acting);
    let taken = bench.engine.submit(Payload::default(), now(2));
    assert!(taken.is_err());
}

#[test]
fn a_lower_ballot_is_refused_in_both_phases() {
    let mut bench = Bench::acting();
    bench.hear(RIVAL, prepare(ballot(2, RIVAL)));
    bench.sync();
    let rival = ballot(2, RIVAL);
    let refused = (PEER, Message::Refused { view: NEXT, rival });
    bench.hear(PEER, prepare(ballot(1, PEER)));
    assert!(bench.sync().contains(&refused));
    let accept = Message::Accept {
        ballot: ballot(1, PEER),
        value: value(0),
    };
    bench.hear(PEER, accept);
    assert!(bench.sync().contains(&refused));
    let accepted = |r: &Record| matches!(r, Record::Accepted { .. });
    assert!(!bench.written.iter().any(accepted));
}

#[test]
fn an_accept_waits_for_the_entries_that_its_value_seals_and_for_the_sync() {
    let mut bench = Bench::acting();
    let ballot = ballot(1, PEER);
    let value = value(2);
    bench.hear(PEER, Message::Accept { ballot, value });
    let (sent, after) = bench.outputs();
    let fetch = Message::Fetch {
        view: ViewNumber(1),
        have: vec![0, 0, 0],
        first: PEER,
    };
    assert!(sent.contains(&(PEER, fetch)) && after.is_empty());
    bench.hear(PEER, Message::Entries(vec![entry(1), entry(2)]));
    let (sent, after) = bench.outputs();
    let accepted = Message::Accepted { view: NEXT, ballot };
    assert!(!sent.iter().any(|(_, m)| *m == accepted));
    assert_eq!(after, [(bench.last_record(), accepted)]);
    assert!(matches!(
        bench.written.last(),
        Some(Record::Accepted { .. })
    ));
    // They never count in the view that they are of.
    assert!(!bench.sync().iter().any(|(_, m)| is_ack(m)));
}

#[test]
fn a_proposer_has_its_ballot_on_disk_before_anyone_hears_of_it() {
    let mut bench = Bench::acting();
    bench.sync();
    let refused = shoal_replication::LinkEvent::Refused;
    bench.engine.handle_link(RIVAL, refused, now(1));
    bench.sent();
    bench.hear(PEER, Message::PreVoted { view: NEXT });
    let (sent, after) = bench.outputs();
    let is_prepare = |m: &Message| matches!(m, Message::Prepare { .. });
    assert!(!sent.iter().any(|(_, m)| is_prepare(m)));
    assert!(matches!(bench.written.last(), Some(Record::Ballot { .. })));
    let prepares = after.iter().filter(|(_, m)| is_prepare(m));
    assert!(prepares.clone().count() > 0);
    assert!(
        prepares
            .into_iter()
            .all(|(record, _)| *record == bench.last_record())
    );
}

#[test]
fn a_restart_remembers_what_was_promised_and_accepted() {
    let mut bench = Bench::acting();
    let ballot_two = ballot(2, RIVAL);
    let accept = Message::Accept {
        ballot: ballot_two,
        value: value(0),
    };
    bench.hear(RIVAL, accept);
    bench.sync();
    let mut engine = Engine::new(EngineConfig::new(ME, 1), None, now(1));
    for record in bench.written.clone() {
        engine.replay(record);
        while engine.poll_output().is_some() {}
    }
    engine.started(now(1));
    let mut again = Bench {
        engine,
        written: bench.written,
    };
    again.sync();
    assert!(!again.engine.status().acting);
    again.hear(PEER, prepare(ballot(1, PEER)));
    let rival = ballot_two;
    let sent = again.sync();
    assert!(sent.contains(&(PEER, Message::Refused { view: NEXT, rival })));
    again.hear(PEER, prepare(ballot(3, PEER)));
    let promised = again.sync();
    let remembers = promised.iter().any(|(_, m)| match m {
        Message::Promise { accepted, .. } => *accepted == Some((ballot_two, value(0))),
        _ => false,
    });
    assert!(remembers, "{promised:?}");
}

#[test]
#[should_panic(expected = "has two values")]
fn two_values_for_one_view_stop_the_process() {
    let mut bench = Bench::acting();
    bench.hear(PEER, Message::Install(value(0)));
    let mut other = value(0);
    other.active.pop();
    bench.hear(RIVAL, Message::Install(other));
}
