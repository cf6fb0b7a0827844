//! The course of a simulation: settling, steady state, events.

use std::time::Instant;

use shoal_planner::limits::{SECOND, WINDOW};
use shoal_planner::{Action, Plan, plan};

use crate::carry::Carrying;
use crate::events::Events;
use crate::options::Options;
use crate::report::{Minute, Report};
use crate::world::World;

/// Of each hundred hosts at the start there are so many spares besides.
const SPARES_PERCENT: u64 = 2;
/// One spare in so many is kept for replacing dead hosts.
const SPARES_KEPT: usize = 3;
const ROUNDS_PER_MINUTE: u64 = 60 * SECOND / WINDOW;

/// Simulates all of it. `tell` gets a line now and then.
pub(crate) fn run(options: &Options, tell: impl Fn(String)) -> Report {
    let begun = Instant::now();
    let mut world = World::new(options);
    let spares = (options.clusters * 3 * SPARES_PERCENT / 100).max(6);
    world.add_spares(spares as usize);
    world.rules.spares_kept = spares as usize / SPARES_KEPT;
    tell(format!(
        "{} clusters, {} queues under Zipf 1.0, {spares} spare hosts; built in {:.1?}",
        options.clusters,
        options.queues,
        begun.elapsed()
    ));
    tell(format!(
        "{} queues that ask for more than a tenth of a cluster are set to `partitions: auto`: the busiest one alone asks for {:.0} clusters",
        world.auto_queues,
        world.demand(shoal_types::QueueId(1)).operations / world.rules.targets.operations as f64
    ));
    let mut simulation = Simulation {
        report: Report {
            queues: world.facts.queues.len(),
            ..Report::default()
        },
        carrying: Carrying::default(),
        events: None,
        rounds: 0,
        tell,
        world,
    };
    simulation.pass("settling", options.settling_hours);
    simulation.pass("steady", options.steady_hours);
    simulation.events = Some(Events::new(&simulation.world, options.eventful_hours));
    simulation.pass("eventful", options.eventful_hours);
    simulation.finish()
}

struct Simulation<F> {
    world: World,
    carrying: Carrying,
    events: Option<Events>,
    report: Report,
    rounds: u64,
    tell: F,
}

impl<F: Fn(String)> Simulation<F> {
    fn pass(&mut self, phase: &str, hours: f64) {
        let minutes = (hours * 60.0) as u64;
        for minute in 1..=minutes {
            let changed = (0..ROUNDS_PER_MINUTE).map(|_| self.round()).sum();
            let minute_of_run = self.minute(phase == "steady", changed);
            if minute % 60 == 0 || minute == minutes {
                self.progress(phase, minute_of_run);
            }
        }
    }

    /// A window passes, a plan is made, and begun. Returns how many queues it changes.
    fn round(&mut self) -> u64 {
        self.rounds += 1;
        self.world.pass_a_window();
        self.carrying.go_on(&mut self.world);
        if let Some(events) = &mut self.events {
            events.go_on(&mut self.world);
        }
        let begun = Instant::now();
        let plan = plan(&self.world.facts, &self.world.rules, self.world.now);
        self.report.rounds.push(begun.elapsed());
        self.count(&plan);
        self.carrying.begin(&mut self.world, &plan)
    }

    fn count(&mut self, plan: &Plan) {
        let actions = &mut self.report.actions;
        for decided in &plan.actions {
            match decided.action {
                Action::Move { .. } => actions.moves += 1,
                Action::Split { .. } => actions.splits += 1,
                Action::Merge { .. } => actions.merges += 1,
                Action::Forward { .. } => actions.forwards += 1,
                Action::Form(_) => actions.formed += 1,
                Action::Replace { .. } | Action::Retire { .. } => {}
            }
        }
        self.report.capacity_needed += u64::from(plan.capacity_needed.is_some());
    }

    fn minute(&mut self, is_steady: bool, changed: u64) -> Minute {
        let heats = self.world.heats();
        let minute = Minute {
            hours: self.rounds as f64 / ROUNDS_PER_MINUTE as f64 / 60.0,
            max: heats.iter().copied().fold(0.0, f64::max),
            mean: heats.iter().sum::<f64>() / heats.len() as f64,
            changed,
            is_steady,
        };
        self.report.minutes.push(minute);
        minute
    }

    fn progress(&self, phase: &str, minute: Minute) {
        let last_hour = self.report.minutes.iter().rev().take(60);
        let changed: u64 = last_hour.map(|minute| minute.changed).sum();
        let rounds = self
            .report
            .rounds
            .iter()
            .rev()
            .take(60 * ROUNDS_PER_MINUTE as usize);
        (self.tell)(format!(
            "{:5.1} h {phase:9} mean heat {:.2}, max/mean {:.2}, {changed} queues changed in the hour, {} in flight, {} clusters, longest round {:.1?}",
            minute.hours,
            minute.mean,
            minute.max / minute.mean,
            self.world.facts.changes.len(),
            self.world.facts.clusters.len(),
            rounds.max().copied().unwrap_or_default(),
        ));
    }

    fn finish(mut self) -> Report {
        if let Some(events) = self.events {
            let (auto, whole): (Vec<_>, Vec<_>) =
                events.floods.iter().partition(|flood| flood.auto);
            self.report.floods_auto_s = auto.iter().map(|flood| flood.over_after_s).collect();
            self.report.floods_whole_s = whole.iter().map(|flood| flood.over_after_s).collect();
            self.report.died_and_replaced = events.replaced(&self.world);
            self.report.grown = events
                .grown
                .map(|watch| (watch.clusters.len(), watch.done_after_s));
            self.report.drained_s = events.drained.map(|watch| watch.done_after_s);
        }
        self.report
    }
}
