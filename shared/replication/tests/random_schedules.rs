//! Random schedules: whatever the network, the disks and the processes do, all hosts execute the same
//! in one order, nothing that was answered is lost, and once everything heals all hosts converge.
//!
//! A failure prints the line that runs its seed alone. `SHOAL_SEEDS=20000` runs more seeds. With
//! `--features planted`, `SHOAL_PLANTED=ack-before-sync` plants that bug: the runs must then fail.

mod rig;

use std::collections::BTreeSet;
use std::time::Duration;

use rig::{Disk, MS, Random, Rig, SECOND, Us, member};
use shoal_replication::{FormError, Standing, Timings};
use shoal_types::{ClusterSpec, Revision};

/// Everything happens fifteen times as often as in a real cluster.
fn hurried() -> Timings {
    let ms = Duration::from_millis;
    Timings {
        heartbeat: ms(5),
        silence_min: ms(40),
        silence_max: ms(60),
        reconnect: ms(4),
        step_min: ms(3),
        fetch_retry: ms(8),
        settled: ms(100),
        rejoin_wait_min: ms(5),
        rejoin_wait_max: ms(50),
    }
}

/// How likely what is, drawn once per seed so that runs differ in kind.
struct Weather {
    kills: u64,
    power_cuts: u64,
    restarts: u64,
    cuts: u64,
    heals: u64,
    false_links: u64,
    checkpoints: u64,
    pauses: u64,
    clock_steps: u64,
    slow_disks: u64,
    leaves: u64,
    coups: u64,
    changes: u64,
    submits: u64,
}

impl Weather {
    fn draw(random: &mut Random) -> Self {
        let mut up_to = |most: u64| random.below(most + 1);
        Self {
            kills: up_to(6),
            power_cuts: up_to(6),
            restarts: 6 + up_to(30),
            cuts: up_to(10),
            heals: 5 + up_to(20),
            false_links: up_to(10),
            checkpoints: up_to(20),
            pauses: up_to(4),
            clock_steps: up_to(6),
            slow_disks: up_to(8),
            leaves: up_to(2),
            coups: up_to(20).saturating_sub(8),
            changes: up_to(16).saturating_sub(4),
            submits: 40 + up_to(200),
        }
    }
}

struct Storm {
    rig: Rig,
    weather: Weather,
    /// Lost for good: at most a minority.
    gone: BTreeSet<usize>,
    /// Whose disk will be set back, and to what.
    copy: Option<(usize, Disk)>,
    /// Hosts that were refused since their disk was set back.
    refused: u64,
    formed: BTreeSet<usize>,
    /// Hosts that are listed at formation; the others may become members later.
    initial: usize,
    /// Lists of members that the manager ordered, the first one included.
    orders: Vec<ClusterSpec>,
}

/// Hosts beside the cluster that may become members.
const SPARES: usize = 3;

impl Storm {
    fn new(hosts: usize, seed: u64) -> Self {
        let mut rig = Rig::with_spares(hosts, SPARES, seed, hurried());
        let latency = 20 + rig.random.below(3 * MS);
        rig.latency = latency;
        rig.latency_jitter = rig.random.below(2 * latency);
        rig.reorder = rig.random.one_in(2);
        rig.loss = rig.random.below(80);
        rig.duplication = rig.random.below(80);
        for h in 0..rig.hosts.len() {
            rig.hosts[h].sync_latency = 50 + rig.random.below(6 * MS);
            rig.hosts[h].skew = rig.random.below(60 * MS) as i64;
        }
        let weather = Weather::draw(&mut rig.random);
        Self {
            orders: vec![rig.spec.clone()],
            rig,
            weather,
            gone: BTreeSet::new(),
            copy: None,
            refused: 0,
            formed: BTreeSet::new(),
            initial: hosts,
        }
    }

    fn rage(&mut self) {
        let hosts = self.rig.hosts.len();
        let length = 300 * MS + self.rig.random.below(1_500 * MS);
        let loses_one = self.initial > 2 && self.rig.random.one_in(3);
        let lost_at = loses_one.then(|| self.rig.now + self.rig.random.below(length));
        let sets_back = loses_one && self.rig.random.one_in(2);
        let end = self.rig.now + length;
        while self.rig.now < end {
            let pause = self.rig.random.below(6 * MS);
            self.rig.run_for(pause);
            let h = self.rig.random.index(hosts);
            // The manager tells the hosts one after the other, and again if need be.
            if h < self.initial && !self.formed.contains(&h) && self.rig.is_up(h) {
                self.form(h);
                self.formed.insert(h);
            }
            if sets_back && self.copy.is_none() && h < self.initial && self.rig.random.one_in(10) {
                // Half of them are wiped.
                let copy = match self.rig.random.one_in(2) {
                    true => self.rig.hosts[h].disk.clone(),
                    false => Disk::default(),
                };
                self.copy = Some((h, copy));
            }
            let loses_now = lost_at.is_some_and(|at| self.rig.now >= at) && self.gone.is_empty();
            if loses_now && let Some((h, copy)) = self.copy.take() {
                self.set_back(h, copy);
            } else if loses_now {
                if self.rig.is_up(h) {
                    self.rig.kill(h);
                }
                self.gone.insert(h);
            }
            self.act_on(h);
        }
    }

    /// The others remember only while they run, and only what they heard: so it happens while all is calm.
    fn set_back(&mut self, h: usize, copy: Disk) {
        self.calm_down();
        let rig = &mut self.rig;
        rig.kill(h);
        rig.set_back(h, copy);
        rig.start(h);
        rig.run_for(500 * MS);
        // One that had done nothing since the copy was made is as good as before.
        self.refused += u64::from(rig.hosts[h].forgotten.is_some());
        rig.kill(h);
        self.gone.insert(h);
    }

    fn calm_down(&mut self) {
        let rig = &mut self.rig;
        rig.heal();
        for h in 0..rig.hosts.len() {
            rig.hosts[h].sync_latency = 200;
            rig.hosts[h].paused_until = 0;
            if !rig.is_up(h) {
                rig.start(h);
            }
        }
        rig.run_for(500 * MS);
    }

    fn act_on(&mut self, h: usize) {
        let w = &self.weather;
        let choices = [
            w.submits,
            w.kills,
            w.power_cuts,
            w.restarts,
            w.cuts,
            w.heals,
            w.false_links,
            w.checkpoints,
            w.pauses,
            w.clock_steps,
            w.slow_disks,
            w.leaves,
            w.coups,
            w.changes,
        ];
        let mut drawn = self.rig.random.below(choices.iter().sum());
        let choice = choices.iter().position(|weight| {
            let hit = drawn < *weight;
            drawn = drawn.wrapping_sub(if hit { 0 } else { *weight });
            hit
        });
        let rig = &mut self.rig;
        let up = rig.is_up(h);
        match choice.expect("the draw is below the sum") {
            0 if up => self.submit(h),
            1 if up => rig.kill(h),
            2 if up => {
                let written = rig.hosts[h].disk.unsynced() as u64;
                let kept = rig.random.below(written + 1) as usize;
                rig.power_off_keeping(h, kept);
            }
            3 if !up && !self.gone.contains(&h) => rig.start(h),
            4 => self.cut(h),
            5 => rig.heal(),
            6 => {
                let peer = rig.random.index(rig.hosts.len());
                if peer != h {
                    rig.flap(h, peer);
                }
            }
            7 if up => {
                rig.checkpoint(h);
                if rig.random.one_in(2) {
                    rig.trim_log(h);
                }
            }
            8 => {
                let pause = rig.random.below(120 * MS);
                rig.pause(h, pause);
            }
            9 => rig.hosts[h].skew = rig.random.below(400 * MS) as i64,
            10 => {
                let slow = rig.random.one_in(4);
                let most = if slow { 100 * MS } else { 6 * MS };
                rig.hosts[h].sync_latency = 50 + rig.random.below(most);
            }
            11 if up => rig.leave(h),
            12 if up => {
                rig.coup(h);
                let rival = rig.random.index(rig.hosts.len());
                let later = rig.random.below(12 * MS);
                rig.run_for(later);
                if rig.is_up(rival) && rig.random.one_in(2) {
                    rig.coup(rival);
                }
                let soon = rig.random.below(10 * MS);
                rig.run_for(soon);
                if rig.is_up(h) && rig.random.one_in(3) {
                    rig.power_off(h);
                }
            }
            13 if up => self.order(h),
            _ => {}
        }
    }

    /// The manager tells a host to form the cluster; after a change of the members that is refused.
    fn form(&mut self, h: usize) {
        match self.rig.try_form(h) {
            Ok(()) => {}
            Err(FormError::FormedOtherwise(_)) if self.orders.len() > 1 => {}
            Err(other) => panic!("host {h} refuses to be formed: {other}"),
        }
    }

    /// The manager orders a change of the members, going by what a host knows; or it repeats an order
    /// that it is not sure about, however old it is by now.
    fn order(&mut self, h: usize) {
        let rig = &mut self.rig;
        if rig.random.one_in(3) {
            let again = rig.random.index(self.orders.len());
            let spec = self.orders[again].clone();
            self.tell(h, &spec);
            return;
        }
        let Some(known) = rig.engine(h).spec().cloned() else {
            return;
        };
        let listed = |h: &usize| known.members.iter().any(|m| *m == member(*h));
        let (inside, outside): (Vec<_>, Vec<_>) = (0..rig.hosts.len()).partition(listed);
        let smallest = self.initial.min(3);
        let shrink = inside.len() > smallest && rig.random.one_in(2);
        let mut spec = if shrink {
            let removed = inside[rig.random.index(inside.len())];
            rig.spec_with(h, &[], &[removed])
        } else if inside.len() < 5 && !outside.is_empty() {
            let added = outside[rig.random.index(outside.len())];
            rig.spec_with(h, &[added], &[])
        } else {
            return;
        };
        spec.revision = Revision(self.orders.len() as u64 + 1);
        self.orders.push(spec.clone());
        self.tell(h, &spec);
    }

    /// Tells whoever of the list is no member, and a member. Any of them may refuse.
    fn tell(&mut self, h: usize, spec: &ClusterSpec) {
        let newcomers = (0..self.rig.hosts.len())
            .filter(|n| *n >= self.initial && spec.members.contains(&member(*n)));
        for newcomer in newcomers {
            if self.rig.is_up(newcomer) {
                let _ = self.rig.learn(newcomer, spec);
            }
        }
        if self.rig.is_up(h) {
            let _ = self.rig.change_members(h, spec);
        }
    }

    fn submit(&mut self, h: usize) {
        let rig = &mut self.rig;
        let known = rig.history.commands_begun();
        if known > 0 && rig.random.one_in(12) {
            let again = rig.random.below(known) + 1;
            let _ = rig.resubmit(h, rig::Command(again));
        } else {
            let _ = rig.submit(h);
        }
    }

    fn cut(&mut self, h: usize) {
        let rig = &mut self.rig;
        let other = rig.random.index(rig.hosts.len());
        if rig.random.one_in(2) {
            rig.cut_one_way(h, other);
        } else {
            rig.split(&[h, other]);
        }
    }

    /// Everything is mended; all hosts that are left must converge.
    fn heal(&mut self) {
        let rig = &mut self.rig;
        rig.heal();
        rig.loss = 0;
        rig.duplication = 0;
        let hosts = 0..rig.hosts.len();
        for h in hosts.clone() {
            rig.hosts[h].sync_latency = 200;
            rig.hosts[h].paused_until = 0;
            let left = rig.is_up(h) && rig.engine(h).is_leaving();
            if left {
                rig.kill(h);
            }
            if !rig.is_up(h) && !self.gone.contains(&h) {
                rig.start(h);
            }
        }
        // Whatever was held up by pauses has come by then.
        rig.run_for(150 * MS);
        for h in hosts.clone() {
            if self.gone.contains(&h) {
                continue;
            }
            if h < self.initial {
                self.form(h);
            }
            let rig = &mut self.rig;
            for peer in hosts.clone().filter(|p| *p != h) {
                rig.show_link(h, peer);
            }
        }
        let rig = &mut self.rig;
        rig.run_until_converged(20 * SECOND);
        // What was asked for in the storm may change the view once more, until it is given up; then it
        // must stay.
        rig.run_for(1_500 * MS);
        rig.run_until_converged(SECOND);
        let members = rig.members();
        let first = members.iter().copied().find(|h| rig.is_up(*h));
        let first = first.expect("a majority is up");
        let settled = rig.view_of(first);
        for h in members.into_iter().filter(|h| !self.gone.contains(h)) {
            let command = rig.submit(h).expect("it takes commands");
            rig.run_until(SECOND, |rig| rig.history.answered_at(command).is_some());
        }
        rig.run_for(500 * MS);
        rig.run_until_converged(SECOND);
        assert_eq!(
            rig.view_of(first),
            settled,
            "the view changes for no reason"
        );
    }
}

/// Prints how to run a seed alone if the test fails in it.
struct Seed {
    hosts: usize,
    seed: u64,
}

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { hosts, seed } = self;
            eprintln!(
                "SHOAL_SEED={seed} cargo test -p shoal-replication --test random_schedules of_{hosts}"
            );
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "a test's own knobs")]
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

#[cfg(feature = "planted")]
#[allow(clippy::disallowed_methods, reason = "a test's own knobs")]
fn plant_bug() {
    let name = std::env::var("SHOAL_PLANTED").ok();
    let bug = name.map(|name| name.parse().expect("a bug's name"));
    shoal_types::planted::plant(bug);
}

fn run(hosts: usize, seeds: u64) {
    #[cfg(feature = "planted")]
    plant_bug();
    let (from, to) = match number("SHOAL_SEED") {
        Some(one) => (one, one + 1),
        None => {
            let first = number("SHOAL_SEED_FROM").unwrap_or(1);
            (first, first + number("SHOAL_SEEDS").unwrap_or(seeds))
        }
    };
    let (mut entries, mut views, mut changes, mut answered, mut time) = (0, 0, 0, 0, 0);
    let (mut stranded, mut refused) = (0, 0);
    for seed in from..to {
        let _line = Seed { hosts, seed };
        let mut storm = Storm::new(hosts, seed);
        storm.rage();
        storm.heal();
        entries += storm.rig.history.len();
        views += storm.rig.history.views();
        changes += storm.rig.history.changes();
        let up = storm.rig.up().into_iter();
        stranded += up
            .filter(|h| storm.rig.status(*h).standing == Standing::NeedsSnapshot)
            .count();
        refused += storm.refused;
        answered += storm.rig.history.answered_count();
        time += storm.rig.now;
    }
    let seconds: Us = time / SECOND;
    println!(
        "{hosts} hosts, {} seeds: {entries} entries, {views} views, {changes} changes of the members, \
         {stranded} in need of a snapshot, {refused} refused since they were set back, {answered} answers, {seconds} s",
        to - from
    );
}

#[test]
fn one_order_whatever_happens_to_a_cluster_of_3() {
    run(3, 300);
}

#[test]
fn one_order_whatever_happens_to_a_cluster_of_4() {
    run(4, 200);
}

#[test]
fn one_order_whatever_happens_to_a_cluster_of_1() {
    run(1, 30);
}

#[test]
fn one_order_whatever_happens_to_a_cluster_of_2() {
    run(2, 30);
}

#[test]
fn one_order_whatever_happens_to_a_cluster_of_5() {
    run(5, 50);
}
