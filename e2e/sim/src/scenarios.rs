//! Stories with an end that is known: a calm cluster, and one thing that goes wrong at a time that is
//! written down. The same judge as for drawn faults.

use shoal_types::{HostId, Micros};

use crate::actions::{Action, JobKind};
use crate::checkers::CheckerSet;
use crate::faults::pairs_between;
use crate::history::SimTime;
use crate::limits::{MS, SECOND};
use crate::options::Options;
use crate::world::{Ended, World};

/// A story.
#[derive(Clone, Copy)]
pub struct Scenario {
    /// As the command line names it.
    pub name: &'static str,
    hosts: u64,
    seconds: u64,
    /// Changes what was calm.
    prepare: fn(&mut Options),
    steps: fn() -> Vec<(Micros, Action)>,
}

const ONE: HostId = HostId(1);
const TWO: HostId = HostId(2);
const THREE: HostId = HostId(3);
const FOUR: HostId = HostId(4);

fn as_it_is(_: &mut Options) {}

impl Scenario {
    /// All of them.
    pub const ALL: &'static [Self] = &[
        Self {
            name: "calm",
            hosts: 3,
            seconds: 10,
            prepare: as_it_is,
            steps: Vec::new,
        },
        Self {
            name: "kill-each-in-turn",
            hosts: 3,
            seconds: 14,
            prepare: as_it_is,
            steps: || each_in_turn(3, Action::Kill),
        },
        Self {
            name: "power-loss-of-each",
            hosts: 3,
            seconds: 14,
            prepare: as_it_is,
            steps: || each_in_turn(3, Action::PowerOff),
        },
        Self {
            name: "power-loss-of-all",
            hosts: 3,
            seconds: 12,
            prepare: as_it_is,
            steps: power_loss_of_all,
        },
        Self {
            name: "split-of-four",
            hosts: 4,
            seconds: 12,
            prepare: as_it_is,
            steps: split_of_four,
        },
        Self {
            name: "restart-loop",
            hosts: 3,
            seconds: 14,
            prepare: as_it_is,
            steps: restart_loop,
        },
        Self {
            name: "far-clock-ahead",
            hosts: 3,
            seconds: 10,
            prepare: |options| set_clock(options, 3_600 * SECOND as i64),
            steps: || {
                vec![
                    (4 * SECOND, Action::Kill(ONE)),
                    (5 * SECOND, Action::Start(ONE)),
                ]
            },
        },
        Self {
            name: "far-clock-behind",
            hosts: 3,
            seconds: 10,
            prepare: |options| set_clock(options, -3_600 * SECOND as i64),
            steps: || {
                vec![
                    (4 * SECOND, Action::Kill(ONE)),
                    (5 * SECOND, Action::Start(ONE)),
                ]
            },
        },
        Self {
            name: "disk-full",
            hosts: 3,
            seconds: 14,
            prepare: as_it_is,
            steps: || fill(&[TWO]),
        },
        Self {
            name: "all-disks-full",
            hosts: 3,
            seconds: 14,
            prepare: as_it_is,
            steps: || fill(&[ONE, TWO, THREE]),
        },
        Self {
            name: "slow-disk",
            hosts: 3,
            seconds: 12,
            prepare: as_it_is,
            steps: || {
                vec![
                    (
                        2 * SECOND,
                        Action::SlowDisk {
                            host: TWO,
                            times: 200,
                        },
                    ),
                    (
                        8 * SECOND,
                        Action::SlowDisk {
                            host: TWO,
                            times: 1,
                        },
                    ),
                ]
            },
        },
        Self {
            name: "one-way-cut",
            hosts: 3,
            seconds: 12,
            prepare: as_it_is,
            steps: || {
                vec![
                    (2 * SECOND, Action::Cut(vec![(ONE, TWO)])),
                    (8 * SECOND, Action::Mend(vec![(ONE, TWO)])),
                ]
            },
        },
        Self {
            name: "flapping-link",
            hosts: 3,
            seconds: 14,
            prepare: as_it_is,
            steps: flapping_link,
        },
        Self {
            name: "lost-tail",
            hosts: 3,
            seconds: 10,
            prepare: as_it_is,
            steps: || {
                vec![
                    (3 * SECOND, Action::Kill(TWO)),
                    (3_100 * MS, Action::LoseTail(TWO)),
                    (4 * SECOND, Action::Start(TWO)),
                ]
            },
        },
        Self {
            name: "set-back",
            hosts: 3,
            seconds: 10,
            prepare: as_it_is,
            steps: || {
                vec![
                    (2 * SECOND, Action::CopyData(TWO)),
                    (5 * SECOND, Action::SetBack(TWO)),
                ]
            },
        },
        Self {
            name: "wiped",
            hosts: 3,
            seconds: 10,
            prepare: as_it_is,
            steps: || vec![(4 * SECOND, Action::Wipe(TWO))],
        },
        Self {
            name: "away-for-long",
            hosts: 3,
            seconds: 20,
            prepare: keep_little,
            steps: away_for_long,
        },
        Self {
            name: "leave-each-in-turn",
            hosts: 3,
            seconds: 20,
            prepare: as_it_is,
            steps: || each_in_turn(3, Action::Leave),
        },
    ];

    /// Plays it.
    #[must_use]
    pub fn run(&self, seed: u64, checkers: CheckerSet, with_lines: bool) -> Ended {
        let mut options = Options::calm(seed, self.hosts, self.seconds);
        (self.prepare)(&mut options);
        let steps = (self.steps)()
            .into_iter()
            .map(|(at, action)| (SimTime(at), action));
        World::new(options, checkers, with_lines).with(steps).run()
    }
}

fn each_in_turn(hosts: u64, end: fn(HostId) -> Action) -> Vec<(Micros, Action)> {
    let one = |n: u64| {
        let (host, at) = (HostId(n), n * 4 * SECOND - 2 * SECOND);
        [(at, end(host)), (at + 2_500 * MS, Action::Start(host))]
    };
    (1..=hosts).flat_map(one).collect()
}

fn power_loss_of_all() -> Vec<(Micros, Action)> {
    let mut steps = Vec::new();
    for at in [3 * SECOND, 7 * SECOND] {
        steps.push((at, Action::PowerOffAll));
        for host in [ONE, TWO, THREE] {
            steps.push((at + SECOND + host.0 * 150 * MS, Action::Start(host)));
        }
    }
    steps
}

fn split_of_four() -> Vec<(Micros, Action)> {
    let pairs = pairs_between(&[ONE, FOUR], &[ONE, TWO, THREE, FOUR]);
    vec![
        (3 * SECOND, Action::Cut(pairs.clone())),
        (8 * SECOND, Action::Mend(pairs)),
    ]
}

fn restart_loop() -> Vec<(Micros, Action)> {
    let one = |n: u64| {
        let at = 2 * SECOND + n * 700 * MS;
        [(at, Action::Kill(TWO)), (at + 50 * MS, Action::Start(TWO))]
    };
    (0..14).flat_map(one).collect()
}

fn set_clock(options: &mut Options, ahead: i64) {
    options
        .clocks
        .get_mut(&ONE)
        .expect("there is a first host")
        .ahead = ahead;
}

fn fill(hosts: &[HostId]) -> Vec<(Micros, Action)> {
    let one = |host: &HostId| {
        let host = *host;
        let fill = |room| Action::FillDisk {
            host,
            room,
            copies: false,
        };
        [
            (3 * SECOND, fill(Some(30_000))),
            (8 * SECOND, fill(None)),
            (8_500 * MS, Action::Start(host)),
        ]
    };
    hosts.iter().flat_map(one).collect()
}

/// Logs are let go of soon, whoever is away.
fn keep_little(options: &mut Options) {
    options.storage.segment_bytes = 16 << 10;
    options.storage.checkpoint_interval = SECOND;
    options.storage.catch_up_bytes = 32 << 10;
    options.storage.chunk_bytes = 4 << 10;
}

/// A member is away until what it lacks is in no log any more; back, it is killed in the middle of
/// installing the snapshot that it needs.
fn away_for_long() -> Vec<(Micros, Action)> {
    let job = JobKind::SnapshotInstall;
    vec![
        (2 * SECOND, Action::Kill(THREE)),
        (9_900 * MS, Action::KillInJob { host: THREE, job }),
        (10 * SECOND, Action::Start(THREE)),
        (15 * SECOND, Action::Start(THREE)),
    ]
}

fn flapping_link() -> Vec<(Micros, Action)> {
    let pairs = vec![(ONE, THREE), (THREE, ONE)];
    let one = |n: u64| {
        let at = 2 * SECOND + n * 500 * MS;
        [
            (at, Action::Cut(pairs.clone())),
            (at + 350 * MS, Action::Mend(pairs.clone())),
        ]
    };
    (0..18).flat_map(one).collect()
}
