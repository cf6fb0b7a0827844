//! The simulator itself: a seed means one course, and a few seeds of each kind are sound.

use shoal_sim::checkers::CheckerSet;
use shoal_sim::options::{Options, Wanted};
use shoal_sim::report;
use shoal_sim::runner::{self, Batch};
use shoal_sim::scenarios::Scenario;
use shoal_sim::sometimes::Sometimes;
use shoal_sim::world::Ended;

/// Short runs: these tests are for every day, the long ones run on their own.
const SHORT: Wanted = Wanted {
    seconds: 6,
    hosts: None,
    moves: false,
    dead_letters: false,
};

fn run(seed: u64, with_lines: bool) -> Ended {
    runner::run_seed(seed, SHORT, &CheckerSet::all(), with_lines)
}

#[track_caller]
fn assert_sound(name: &str, seed: u64, ended: &Ended) {
    let sound = ended.violations.is_empty();
    assert!(sound, "{}", report::failure(seed, name, ended));
}

#[test]
fn a_seed_means_one_course_to_the_byte() {
    for seed in 1..=4 {
        let (first, second) = (run(seed, true), run(seed, true));
        assert!(first.lines.lines().count() > 1_000, "something happens");
        let differs = first
            .lines
            .lines()
            .zip(second.lines.lines())
            .find(|(a, b)| a != b);
        assert_eq!(differs, None, "seed {seed}");
        assert_eq!(first.lines.len(), second.lines.len(), "seed {seed}");
        let without_lines = run(seed, false);
        assert_eq!(
            first.hash, without_lines.hash,
            "seed {seed}: nobody reads, nothing else happens"
        );
    }
}

#[test]
fn another_seed_means_another_course() {
    assert_ne!(run(1, false).hash, run(2, false).hash);
}

#[test]
fn results_do_not_depend_on_the_number_of_threads() {
    let courses = |jobs| {
        let batch = Batch {
            from: 50,
            seeds: 4,
            wanted: Wanted {
                seconds: 2,
                ..SHORT
            },
            checkers: CheckerSet::all(),
            jobs,
        };
        let mut courses = Vec::new();
        batch.run(|seed, ended| courses.push((seed, ended.hash, ended.summary.ended_at)));
        courses
    };
    assert_eq!(courses(1), courses(3));
}

#[test]
fn a_few_seeds_with_drawn_faults_are_sound() {
    for seed in 100..112 {
        assert_sound("a test of short runs", seed, &run(seed, false));
    }
}

#[test]
fn options_follow_from_the_seed_and_lean_every_way() {
    let drawn: Vec<Options> = (0..200).map(|seed| Options::draw(seed, SHORT)).collect();
    let count = |is: &dyn Fn(&Options) -> bool| drawn.iter().filter(|options| is(options)).count();
    assert!(
        count(&|o| o.faults.kinds.is_empty()) > 3,
        "some runs are quiet"
    );
    assert!(count(&|o| o.faults.kinds.len() > 10) > 10, "some are not");
    for hosts in [3, 4, 5] {
        assert!(count(&|o| o.hosts.len() == hosts) > 5, "{hosts} hosts");
    }
    let again = Options::draw(7, SHORT);
    assert_eq!(format!("{again:?}"), format!("{:?}", drawn[7]));
}

#[test]
fn every_scenario_is_sound() {
    for scenario in Scenario::ALL {
        let ended = scenario.run(1, CheckerSet::all(), false);
        assert_sound(&format!("--scenario {}", scenario.name), 1, &ended);
        assert!(
            ended.summary.answered > 200,
            "{}: clients get answers",
            scenario.name
        );
    }
}

#[test]
fn queues_move_and_every_promise_is_kept() {
    let moving = Wanted {
        seconds: 15,
        moves: true,
        ..SHORT
    };
    let (mut tellings, mut carriages) = (0, 0);
    for seed in 1..=8 {
        let ended = runner::run_seed(seed, moving, &CheckerSet::all(), false);
        assert_sound("--moves", seed, &ended);
        tellings += ended.summary.tellings;
        carriages += ended.summary.carriages;
    }
    assert!(tellings > 20, "successors were told {tellings} times");
    assert!(carriages > 0, "no piece was brought to an heir");
}

#[test]
fn messages_go_to_other_queues_and_every_promise_is_kept() {
    let (mut dead, mut moved) = (0, 0);
    for seed in 1..=6 {
        let wanted = Wanted {
            seconds: 15,
            moves: seed % 2 == 0,
            dead_letters: true,
            ..SHORT
        };
        let ended = runner::run_seed(seed, wanted, &CheckerSet::all(), false);
        assert_sound("--dead-letters, every other one with --moves", seed, &ended);
        dead += ended.reached.count(Sometimes::DeadLettersTaken);
        moved += ended.reached.count(Sometimes::MovedTaken);
    }
    assert!(dead > 20, "{dead} parcels of dead letters arrived");
    assert!(moved > 0, "no task moved anything");
}
