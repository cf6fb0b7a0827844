//! Hosts whose data folders were wiped or set back: the others remember, and do not let them take part.

mod rig;

use rig::{MS, Rig, SECOND};
use shoal_replication::{Lacks, Standing, Timings};
use shoal_types::{Incarnation, ViewNumber};

const A: usize = 0;
const B: usize = 1;
const C: usize = 2;

fn at_work() -> Rig {
    let mut rig = Rig::formed(3);
    rig.run_for(100 * MS);
    for i in 0..30 {
        rig.round(i % 3);
    }
    rig
}

fn restart(rig: &mut Rig, h: usize) {
    rig.kill(h);
    rig.start(h);
}

fn lacks(rig: &Rig, h: usize) -> Option<Lacks> {
    rig.hosts[h].forgotten.map(|why| why.lacks)
}

/// The others go on without it.
fn serves_without(rig: &mut Rig, h: usize) {
    let [a, b] = [(h + 1) % 3, (h + 2) % 3];
    rig.run_until(SECOND, |rig| {
        rig.takes_commands(a) && rig.takes_commands(b) && !rig.writers_of(a).contains(&h)
    });
    rig.round(a);
    rig.round(b);
    assert!(!rig.takes_commands(h));
    assert_eq!(rig.engine(h).standing(), Standing::Forgotten);
}

#[test]
fn a_folder_set_back_to_an_earlier_view_is_refused() {
    let mut rig = at_work();
    let old = rig.hosts[C].disk.clone();
    // Two views later: one without it, one with it.
    rig.kill(C);
    rig.run_until(SECOND, |rig| rig.writers_of(A) == [A, B]);
    rig.start(C);
    rig.run_until(SECOND, |rig| rig.takes_commands(C));
    rig.run_for(100 * MS);
    rig.kill(C);
    rig.set_back(C, old);
    // A start or two that nobody hears of: the number of the start alone tells nothing.
    for _ in 0..2 {
        rig.start(C);
        rig.run_for(MS / 2);
        rig.kill(C);
    }
    rig.start(C);
    rig.run_until(SECOND, |rig| lacks(rig, C).is_some());
    let Some(Lacks::View { seen }) = lacks(&rig, C) else {
        panic!("it lacks {:?}", lacks(&rig, C));
    };
    assert!(seen > ViewNumber(2));
    serves_without(&mut rig, C);
}

#[test]
fn a_folder_that_lost_acknowledged_entries_of_the_current_view_is_refused() {
    let mut rig = at_work();
    let old = rig.hosts[C].disk.clone();
    for _ in 0..20 {
        rig.round(A);
    }
    rig.run_for(50 * MS);
    rig.kill(C);
    rig.set_back(C, old);
    rig.start(C);
    rig.run_until(SECOND, |rig| lacks(rig, C).is_some());
    let Some(Lacks::Entries { seen, has, .. }) = lacks(&rig, C) else {
        panic!("it lacks {:?}", lacks(&rig, C));
    };
    assert!(has < seen, "{has} {seen}");
    serves_without(&mut rig, C);
}

#[test]
fn an_empty_folder_with_the_old_identity_is_refused() {
    let mut rig = at_work();

    rig.kill(C);
    rig.run_for(100 * MS);
    rig.set_back(C, rig::Disk::default());
    rig.start(C);
    rig.run_until(SECOND, |rig| lacks(rig, C).is_some());
    assert_eq!(lacks(&rig, C), Some(Lacks::Cluster));
    serves_without(&mut rig, C);
}

#[test]
fn an_earlier_start_of_the_process_is_refused_whatever_else_it_has() {
    let mut rig = at_work();
    let old = rig.hosts[C].disk.clone();
    for _ in 0..3 {
        restart(&mut rig, C);
        rig.run_until(SECOND, |rig| rig.takes_commands(C));
    }
    rig.kill(C);
    rig.set_back(C, old);
    rig.start(C);
    rig.run_until(SECOND, |rig| lacks(rig, C).is_some());
    let seen = Incarnation(4);
    assert_eq!(lacks(&rig, C), Some(Lacks::Life { seen }));
    serves_without(&mut rig, C);
}

/// The copy was made in the life before, so the number of the start is the one that the others saw last:
/// what tells the two lives apart is drawn at random.
#[test]
fn another_start_with_the_same_number_is_refused() {
    let mut rig = at_work();
    let old = rig.hosts[C].disk.clone();
    restart(&mut rig, C);
    rig.run_until(SECOND, |rig| rig.takes_commands(C));
    rig.run_for(50 * MS);
    rig.kill(C);
    rig.set_back(C, old);
    rig.seed += 1;
    rig.start(C);
    rig.run_until(SECOND, |rig| lacks(rig, C).is_some());
    let seen = Incarnation(2);
    assert_eq!(lacks(&rig, C), Some(Lacks::Life { seen }));
    serves_without(&mut rig, C);
}

/// Without the others' memory, the set-back host and one that never had the entry would be a majority,
/// and would seal the view without it.
#[test]
fn what_was_answered_is_not_lost_to_a_majority_that_forgot() {
    let mut rig = at_work();
    let old = rig.hosts[C].disk.clone();
    // B hears C, and nothing of A: what A orders is on disk at A and C.
    rig.cut_one_way(A, B);
    rig.run_for(10 * MS);
    let command = rig.submit(A);
    rig.run_for(40 * MS);
    rig.kill(C);
    rig.set_back(C, old);
    rig.kill(A);
    rig.heal();
    rig.start(C);
    rig.run_for(2 * SECOND);
    assert!(command.is_ok());
    assert!(lacks(&rig, C).is_some(), "B goes with a host that forgot");
    assert!(!rig.takes_commands(B), "B alone is no majority");
    rig.start(A);
    rig.run_until(2 * SECOND, |rig| {
        rig.takes_commands(A) && rig.takes_commands(B)
    });
    rig.round(B);
}

#[test]
fn a_host_that_only_fell_behind_is_not_refused() {
    let mut rig = at_work();
    for h in [C, A, B, C, C] {
        rig.kill(h);
        let other = (h + 1) % 3;
        rig.run_until(SECOND, |rig| {
            rig.takes_commands(other) && !rig.writers_of(other).contains(&h)
        });
        for _ in 0..50 {
            rig.round(other);
        }
        rig.start(h);
        rig.run_until_converged(5 * SECOND);
    }
    assert!((A..=C).all(|h| lacks(&rig, h).is_none()));
}

/// Found by random schedules: a host became a member while another was away. That one came back, asked it
/// for views from before its time, and was told that it had forgotten them, which stopped it for good.
#[test]
fn a_member_that_came_later_takes_nobody_for_forgetful() {
    const NEW: usize = 3;
    let mut rig = Rig::with_spares(3, 1, 1, Timings::default());
    for h in [A, B, C] {
        rig.form(h);
    }
    rig.run_for(100 * MS);
    rig.round(A);
    rig.kill(C);
    rig.run_until(SECOND, |rig| rig.writers_of(A) == [A, B]);
    let spec = rig.spec_with(A, &[NEW], &[]);
    rig.learn(NEW, &spec).unwrap();
    rig.change_members(A, &spec).unwrap();
    rig.run_until(2 * SECOND, |rig| rig.takes_commands(NEW));
    rig.split(&[A, B]);
    rig.cut.retain(|(a, b)| *a == C || *b == C);
    rig.start(C);
    rig.run_for(SECOND);
    assert_eq!(lacks(&rig, C), None);
    rig.heal();
    for h in [A, B, NEW] {
        rig.show_link(C, h);
        rig.show_link(h, C);
    }
    rig.run_until_converged(5 * SECOND);
}
