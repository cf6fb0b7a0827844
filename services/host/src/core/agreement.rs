//! Whether the other members came to the same state as this host. All of them mark the same places of
//! the order, tell one another their newest mark with every heartbeat, and hold what they hear against
//! their own. This file judges; what is done about it stands in `announcements.rs`.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

use shoal_replication::StateMark;
use shoal_types::{HostId, Position};

use crate::limits::{MARK_INTERVAL, MARKS_HEARD_MAX, MARKS_KEPT_MAX};

/// What the marks say.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(super) enum Verdict {
    /// Nobody is known to differ.
    #[default]
    Same,
    /// This host and others, together a majority of the members, agree; some member does not.
    Outvotes(Difference),
    /// A majority of the members agrees, and this host is not part of it.
    Outvoted(Difference),
    /// Some member differs, and no majority is known: nobody can tell who is right.
    Undecided(Difference),
}

/// States that should be one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Difference {
    here: StateMark,
    others: Vec<(HostId, u64)>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StateMark { position, hash } = self.here;
        write!(
            f,
            "at position {position} the state hash is {hash:016x} here"
        )?;
        for (host, hash) in &self.others {
            write!(f, ", {hash:016x} at {host}")?;
        }
        Ok(())
    }
}

/// This host's marks and those of the other members, as far as they are remembered.
#[derive(Debug, Default)]
pub(super) struct Agreement {
    /// Oldest first.
    mine: VecDeque<StateMark>,
    /// In the order in which they were heard.
    heard: BTreeMap<HostId, VecDeque<StateMark>>,
    /// Something was marked or heard since the last judgement.
    news: bool,
    verdict: Verdict,
}

impl Agreement {
    /// The entry at `next` is about to be executed; `executed` is the one before it and `hash` the
    /// state's. Where the cluster time of the entries steps into another interval, the place between
    /// them is marked: an entry's time and its neighbour are the same on all hosts, whatever they
    /// were restarted from.
    pub(super) fn before_entry(&mut self, next: Position, executed: Position, hash: u64) {
        if next.ts.0 / MARK_INTERVAL == executed.ts.0 / MARK_INTERVAL {
            return;
        }
        if self.mine.len() == MARKS_KEPT_MAX {
            self.mine.pop_front();
        }
        let position = executed;
        self.mine.push_back(StateMark { position, hash });
        self.news = true;
    }

    /// What to tell the others.
    pub(super) fn newest(&self) -> Option<StateMark> {
        self.mine.back().copied()
    }

    /// Another member's newest mark; mostly one that was heard before.
    pub(super) fn hear(&mut self, member: HostId, mark: StateMark) {
        let marks = self.heard.entry(member).or_default();
        if marks.back() == Some(&mark) {
            return;
        }
        // A later life of the member may have come to another state at the same place.
        marks.retain(|known| known.position != mark.position);
        if marks.len() == MARKS_HEARD_MAX {
            marks.pop_front();
        }
        marks.push_back(mark);
        self.news = true;
    }

    pub(super) fn verdict(&self) -> &Verdict {
        &self.verdict
    }

    /// The difference because of which this host must not answer anybody.
    pub(super) fn dispute(&self) -> Option<&Difference> {
        match &self.verdict {
            Verdict::Undecided(difference) => Some(difference),
            _ => None,
        }
    }

    /// Judges anew if there is reason to. True if the verdict is another one than before; a
    /// difference that is only found again at another place is none.
    pub(super) fn judge(&mut self, me: HostId, members: &[HostId]) -> bool {
        if !self.news && self.verdict == Verdict::Same {
            return false;
        }
        self.news = false;
        self.heard.retain(|member, _| members.contains(member));
        // Without evidence the last verdict stands: a dispute does not end by being forgotten.
        let Some(verdict) = self.evidence(me, members) else {
            return false;
        };
        let before = std::mem::replace(&mut self.verdict, verdict);
        std::mem::discriminant(&before) != std::mem::discriminant(&self.verdict)
    }

    /// The newest place that tells something. Hashes roll: who agrees there agreed everywhere before.
    fn evidence(&self, me: HostId, members: &[HostId]) -> Option<Verdict> {
        let quorum = members.len() / 2 + 1;
        self.mine.iter().rev().find_map(|here| {
            let others = members.iter().filter(|member| **member != me);
            let others: Vec<(HostId, u64)> = others
                .filter_map(|member| Some((*member, self.heard_at(*member, here.position)?)))
                .collect();
            let holders_of = |hash: u64| others.iter().filter(|(_, other)| *other == hash).count();
            let with_me = 1 + holders_of(here.hash);
            let all_agree = with_me == 1 + others.len();
            let outvoted = || others.iter().any(|(_, hash)| holders_of(*hash) >= quorum);
            let difference = || Difference {
                here: *here,
                others: others.clone(),
            };
            match (all_agree, with_me >= quorum) {
                (true, true) => Some(Verdict::Same),
                (true, false) => None,
                (false, true) => Some(Verdict::Outvotes(difference())),
                (false, false) if outvoted() => Some(Verdict::Outvoted(difference())),
                (false, false) => Some(Verdict::Undecided(difference())),
            }
        })
    }

    fn heard_at(&self, member: HostId, position: Position) -> Option<u64> {
        let marks = self.heard.get(&member)?;
        let mark = marks.iter().find(|mark| mark.position == position)?;
        Some(mark.hash)
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{Ts, ViewNumber};

    use super::*;

    const A: HostId = HostId(1);
    const B: HostId = HostId(2);
    const C: HostId = HostId(3);
    const D: HostId = HostId(4);

    fn at(interval: u64) -> Position {
        Position {
            view: ViewNumber(1),
            ts: Ts(interval * MARK_INTERVAL + 7),
            lane: A,
        }
    }

    fn mark(interval: u64, hash: u64) -> StateMark {
        StateMark {
            position: at(interval),
            hash,
        }
    }

    /// Host A with these marks, one per interval from 1 on.
    fn marked(hashes: &[u64]) -> Agreement {
        let mut agreement = Agreement::default();
        for (n, hash) in (1..).zip(hashes) {
            agreement.before_entry(at(n + 1), at(n), *hash);
        }
        agreement
    }

    fn judged(mut agreement: Agreement, members: &[HostId]) -> Verdict {
        agreement.judge(A, members);
        agreement.verdict
    }

    /// Host A's verdict over one place, at which it has hash 1 itself.
    fn over(heard: &[(HostId, u64)], members: &[HostId]) -> Verdict {
        let mut agreement = marked(&[1]);
        for (host, hash) in heard {
            agreement.hear(*host, mark(1, *hash));
        }
        judged(agreement, members)
    }

    fn difference(heard: &[(HostId, u64)]) -> Difference {
        Difference {
            here: mark(1, 1),
            others: heard.to_vec(),
        }
    }

    #[test]
    fn places_are_marked_where_the_entries_step_into_another_interval_and_nowhere_else() {
        let mut agreement = Agreement::default();
        let entry = |ts| Position {
            ts: Ts(ts),
            ..at(0)
        };
        let times = [10, 20, MARK_INTERVAL, MARK_INTERVAL + 1, 5 * MARK_INTERVAL];
        for (n, pair) in (0..).zip(times.windows(2)) {
            agreement.before_entry(entry(pair[1]), entry(pair[0]), n);
        }
        let marked: Vec<_> = agreement.mine.iter().map(|m| m.position.ts.0).collect();
        assert_eq!(marked, [20, MARK_INTERVAL + 1]);
        assert_eq!(agreement.newest().unwrap().hash, 3);
    }

    #[test]
    fn one_of_three_is_outvoted_and_the_two_go_on() {
        let members = [A, B, C];
        assert_eq!(over(&[(B, 1), (C, 1)], &members), Verdict::Same);
        let heard = [(B, 1), (C, 2)];
        assert_eq!(
            over(&heard, &members),
            Verdict::Outvotes(difference(&heard))
        );
        let heard = [(B, 2), (C, 2)];
        assert_eq!(
            over(&heard, &members),
            Verdict::Outvoted(difference(&heard))
        );
    }

    #[test]
    fn without_a_majority_nobody_is_right() {
        for (heard, members) in [
            (vec![(B, 2)], vec![A, B]),
            // The third may be dead, or be heard in a moment.
            (vec![(B, 2)], vec![A, B, C]),
            (vec![(B, 2), (C, 3)], vec![A, B, C]),
            (vec![(B, 1), (C, 2), (D, 2)], vec![A, B, C, D]),
            (vec![(B, 1), (C, 2)], vec![A, B, C, D]),
        ] {
            let verdict = over(&heard, &members);
            assert_eq!(verdict, Verdict::Undecided(difference(&heard)));
        }
    }

    #[test]
    fn a_dispute_ends_when_the_third_is_heard() {
        let mut agreement = marked(&[1, 2]);
        agreement.hear(C, mark(1, 9));
        assert!(agreement.judge(A, &[A, B, C]));
        assert!(agreement.dispute().is_some());
        // B was not heard at the first place; at the second it agrees, so it did at the first.
        agreement.hear(B, mark(2, 2));
        assert!(agreement.judge(A, &[A, B, C]));
        assert_eq!(agreement.verdict, Verdict::Same);
        agreement.hear(C, mark(2, 8));
        assert!(agreement.judge(A, &[A, B, C]));
        assert!(matches!(agreement.verdict, Verdict::Outvotes(_)));
    }

    #[test]
    fn a_dispute_is_not_forgotten_with_its_marks() {
        let mut agreement = marked(&[1]);
        agreement.hear(B, mark(1, 9));
        agreement.judge(A, &[A, B]);
        for n in 2..200 {
            agreement.before_entry(at(n + 1), at(n), n);
        }
        assert!(!agreement.judge(A, &[A, B]));
        assert!(agreement.dispute().is_some());
    }

    #[test]
    fn a_dispute_ends_when_the_other_comes_back_sound_or_is_no_member_any_more() {
        let disputed = || {
            let mut agreement = marked(&[1]);
            agreement.hear(B, mark(1, 9));
            agreement.judge(A, &[A, B]);
            agreement
        };
        let mut agreement = disputed();
        agreement.hear(B, mark(1, 1));
        assert_eq!(judged(agreement, &[A, B]), Verdict::Same);
        assert_eq!(judged(disputed(), &[A]), Verdict::Same);
    }

    #[test]
    fn a_member_that_lags_or_leads_is_compared_where_both_have_been() {
        let mut agreement = marked(&[1]);
        agreement.hear(B, mark(2, 2));
        agreement.hear(C, mark(0, 7));
        agreement.judge(A, &[A, B, C]);
        assert_eq!(agreement.verdict, Verdict::Same);
        agreement.before_entry(at(3), at(2), 5);
        agreement.judge(A, &[A, B, C]);
        assert!(agreement.dispute().is_some(), "B said what it had at 2");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut agreement = marked(&[0; 1_000]);
        for n in 0..1_000 {
            for host in [B, C, D] {
                agreement.hear(host, mark(n, 0));
                agreement.hear(host, mark(n, 0));
            }
        }
        agreement.judge(A, &[A, B, C]);
        assert_eq!(agreement.mine.len(), MARKS_KEPT_MAX);
        let heard: Vec<_> = agreement.heard.values().map(VecDeque::len).collect();
        assert_eq!(heard, [MARKS_HEARD_MAX; 2], "D is no member");
    }

    #[test]
    fn a_difference_names_the_place_and_every_hash() {
        let text = difference(&[(B, 2), (C, 0xabc)]).to_string();
        let place = at(1).to_string();
        assert_eq!(
            text,
            format!(
                "at position {place} the state hash is 0000000000000001 here, 0000000000000002 at h2, \
                 0000000000000abc at h3"
            )
        );
    }
}
