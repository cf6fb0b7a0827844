//! Hosts that execute alike and hosts that do not.

use shoal_types::{
    HostId, Incarnation, Origin, Outcome, Position, Request, RequestId, Ts, ViewNumber,
};

use super::Auditor;
use crate::checkers::{Checker, CheckerSet};
use crate::history::{Executed, SimTime, StateHash, Step};

struct Stage {
    auditor: Auditor,
}

fn entry(ts: u64) -> Step {
    Step::Entry(position(ts))
}

fn position(ts: u64) -> Position {
    Position {
        view: ViewNumber(1),
        ts: Ts(ts),
        lane: HostId(1),
    }
}

fn tick(id: u128) -> Step {
    let request = Request {
        id: RequestId(id),
        deadline: Ts::MAX,
        origin: Origin::default(),
        command: shoal_types::Command::Tick,
    };
    Step::Command(request, Vec::new(), Outcome::Done)
}

fn view(number: u64, incarnations: &[(u64, u64)]) -> Step {
    let origin = |(host, incarnation): &(u64, u64)| Origin {
        host: HostId(*host),
        incarnation: Incarnation(*incarnation),
    };
    Step::View(
        ViewNumber(number),
        incarnations.iter().map(origin).collect(),
    )
}

impl Stage {
    fn new() -> Self {
        let auditor = Auditor::new(CheckerSet::all());
        Self { auditor }
    }

    fn executes(&mut self, host: u64, life: u64, steps: &[Step]) -> &mut Self {
        for step in steps {
            self.auditor.executed(Executed {
                at: SimTime(0),
                host: HostId(host),
                life,
                step: step.clone(),
            });
        }
        self
    }

    fn shows(&mut self, host: u64, incarnation: u64, ts: u64, rolling: u64) -> &mut Self {
        self.auditor.state_hash(StateHash {
            host: HostId(host),
            incarnation: Incarnation(incarnation),
            executed: position(ts),
            rolling,
            full: Some(rolling + 1),
        });
        self
    }

    #[track_caller]
    fn pleases(&self) {
        assert_eq!(self.auditor.violations(), []);
    }

    #[track_caller]
    fn alarms(&self, checker: Checker, words: &[&str]) {
        let [first, ..] = self.auditor.violations() else {
            panic!("nothing was noticed");
        };
        assert_eq!(first.checker, checker, "{}", first.what);
        for word in words {
            assert!(
                first.what.contains(word),
                "{word:?} is not in {:?}",
                first.what
            );
        }
    }
}

#[test]
fn hosts_that_execute_the_same_please_whoever_is_first() {
    let mut stage = Stage::new();
    stage
        .executes(1, 1, &[view(1, &[]), entry(5), tick(0)])
        .executes(2, 1, &[view(1, &[]), entry(5), tick(0), entry(7)])
        .executes(1, 1, &[entry(7), tick(0)])
        .executes(2, 1, &[tick(0)]);
    stage.pleases();
    assert_eq!(stage.auditor.log().len(), 5);
    assert_eq!(stage.auditor.executed_by(HostId(1)), 5);
}

#[test]
fn another_command_is_an_alarm() {
    let mut stage = Stage::new();
    stage
        .executes(1, 1, &[view(1, &[]), entry(5), tick(3)])
        .executes(2, 1, &[view(1, &[]), entry(5), tick(4)]);
    stage.alarms(Checker::C0, &["h2", "step 2"]);
}

#[test]
fn an_entry_left_out_is_an_alarm() {
    let mut stage = Stage::new();
    stage
        .executes(1, 1, &[view(1, &[]), entry(5), tick(0), entry(7)])
        .executes(2, 1, &[view(1, &[]), entry(7)]);
    stage.alarms(Checker::C0, &["h2", "step 1"]);
}

#[test]
fn a_restarted_host_begins_where_its_checkpoint_is_and_no_later() {
    let all = [view(1, &[]), entry(5), tick(0), entry(7), entry(8)];
    let mut stage = Stage::new();
    stage.executes(1, 1, &all).executes(2, 1, &all[..4]);
    stage.executes(2, 2, &all[3..]);
    stage.pleases();
    let mut stage = Stage::new();
    stage.executes(1, 1, &all).executes(2, 1, &all[..3]);
    stage.executes(2, 2, &all[4..]);
    stage.alarms(Checker::C14, &["h2", "life 2", "step 4", "only to 3"]);
}

#[test]
fn time_and_views_do_not_go_back() {
    let mut stage = Stage::new();
    stage.executes(1, 1, &[view(1, &[]), entry(5), entry(4)]);
    stage.alarms(Checker::C14, &["comes after"]);
    let mut stage = Stage::new();
    stage.executes(1, 1, &[view(2, &[]), view(1, &[])]);
    stage.alarms(Checker::C14, &["comes after"]);
}

#[test]
fn incarnations_do_not_go_back() {
    let mut stage = Stage::new();
    stage.executes(
        1,
        1,
        &[view(1, &[]), view(2, &[(3, 2)]), view(3, &[(3, 2)])],
    );
    stage.pleases();
    stage.executes(1, 1, &[view(4, &[(3, 1)])]);
    stage.alarms(Checker::C14, &["ViewNumber(4)"]);
    let mut stage = Stage::new();
    stage.shows(1, 2, 5, 9).shows(1, 1, 6, 10);
    stage.alarms(Checker::C14, &["h1", "Incarnation(1)"]);
}

#[test]
fn equal_positions_mean_equal_states() {
    let mut stage = Stage::new();
    stage.shows(1, 1, 5, 9).shows(2, 1, 5, 9).shows(2, 1, 6, 10);
    stage.pleases();
    stage.shows(3, 1, 6, 11);
    stage.alarms(Checker::C13, &["h3", "h2"]);
}

#[test]
fn equal_histories_with_other_contents_are_an_alarm() {
    let mut stage = Stage::new();
    stage.shows(1, 1, 5, 9);
    stage.auditor.state_hash(StateHash {
        host: HostId(2),
        incarnation: Incarnation(1),
        executed: position(5),
        rolling: 9,
        full: Some(77),
    });
    stage.alarms(Checker::C13, &["queues", "h1"]);
}

#[test]
fn what_was_executed_does_not_go_back_within_a_life() {
    let mut stage = Stage::new();
    stage.shows(1, 1, 5, 9).shows(1, 1, 4, 8);
    stage.alarms(Checker::C14, &["h1", "after"]);
    let mut stage = Stage::new();
    stage.shows(1, 1, 5, 9).shows(1, 2, 4, 8);
    stage.pleases();
}

#[test]
fn a_checker_that_is_off_says_nothing() {
    let mut stage = Stage::new();
    stage.auditor = Auditor::new(CheckerSet::without([Checker::C13]));
    stage.shows(1, 1, 5, 9).shows(2, 1, 5, 10);
    stage.pleases();
}
