//! What operators were told already: the log of events says when a reason appears and when it is over, not
//! the same thing every round, nor each of its figures.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use shoal_api::plan::{EventKind, PlanInfo, PlannedAction};

use crate::events::{EventLog, News};
use crate::limits::ROUNDS_UNTIL_OVER;
use crate::store::StoreError;

/// Writes events about what was planned and not begun and about missing hosts: one when a reason appears,
/// one when it has been gone for [`ROUNDS_UNTIL_OVER`] rounds. The next process tells what lasts once more.
pub(super) struct Told {
    events: Arc<EventLog>,
    round: u64,
    /// Bounded by the actions of [`ROUNDS_UNTIL_OVER`] plans.
    lasting: BTreeMap<Reason, Lasts>,
}

/// What makes two rounds' news the same; without figures, which change from round to round.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    /// An action was not begun.
    NotBegun {
        /// The first word of the action.
        kind: String,
        /// The cluster that it would have helped. Of what nobody consumes: the queue.
        about: String,
        /// Why not.
        why: String,
    },
    /// Load finds no room.
    LacksClusters,
    /// Dead members have no spare.
    LacksReplacements,
}

struct Lasts {
    /// The last round in which it was so.
    seen: u64,
    /// What is to be told when it is over.
    ends: News,
}

impl Told {
    pub(super) fn new(events: Arc<EventLog>) -> Self {
        Self {
            events,
            round: 0,
            lasting: BTreeMap::new(),
        }
    }

    /// Tells what is new about a round.
    ///
    /// # Errors
    /// If the store fails.
    pub(super) async fn tell(&mut self, info: &PlanInfo) -> Result<(), StoreError> {
        for news in self.news(info) {
            self.events.note(news).await?;
        }
        Ok(())
    }

    fn news(&mut self, info: &PlanInfo) -> Vec<News> {
        self.round += 1;
        let round = self.round;
        let mut news = Vec::new();
        for (reason, begins, ends) in reasons(info) {
            match self.lasting.entry(reason) {
                Entry::Occupied(mut known) => known.get_mut().seen = round,
                Entry::Vacant(unknown) => {
                    unknown.insert(Lasts { seen: round, ends });
                    news.push(begins);
                }
            }
        }
        let is_over = |_: &Reason, lasts: &mut Lasts| round - lasts.seen >= ROUNDS_UNTIL_OVER;
        let over = self.lasting.extract_if(.., is_over);
        news.extend(over.map(|(_, lasts)| lasts.ends));
        news
    }
}

/// What is so in this round, what is told if it was not before, and what once it is over.
fn reasons(info: &PlanInfo) -> Vec<(Reason, News, News)> {
    let refused = info.actions.iter().filter(|action| !action.begun);
    let mut reasons: Vec<_> = refused.map(not_begun).collect();
    let Some(needed) = info.capacity_needed else {
        return reasons;
    };
    if needed.clusters > 0 {
        let hosts = needed.hosts - needed.replacements;
        let begins = format!(
            "capacity needed: {hosts} hosts, for {} clusters",
            needed.clusters
        );
        let ends = "no capacity is needed any more for load";
        reasons.push((
            Reason::LacksClusters,
            capacity(begins),
            capacity(ends.to_owned()),
        ));
    }
    if needed.replacements > 0 {
        let begins = format!(
            "capacity needed: {} hosts, for as many dead members",
            needed.replacements
        );
        let ends = "no capacity is needed any more for dead members";
        reasons.push((
            Reason::LacksReplacements,
            capacity(begins),
            capacity(ends.to_owned()),
        ));
    }
    reasons
}

fn not_begun(action: &PlannedAction) -> (Reason, News, News) {
    let PlannedAction {
        action: what,
        reason,
        queue,
        clusters,
        outcome,
        ..
    } = action;
    let kind = what.split(' ').next().unwrap_or_default();
    let about = match (queue, clusters.first()) {
        (Some(queue), _) if kind == "forward" => queue.to_string(),
        (_, Some(cluster)) => cluster.to_string(),
        (_, None) => String::new(),
    };
    let news = |text: String| News {
        kind: EventKind::NotBegun,
        clusters: clusters.clone(),
        queue: queue.clone(),
        text,
    };
    let begins = news(format!("not begun: {what}: {reason}. {outcome}"));
    let ends = news(format!("no longer so, not begun: {what}. {outcome}"));
    let reason = Reason::NotBegun {
        kind: kind.to_owned(),
        about,
        why: outcome.clone(),
    };
    (reason, begins, ends)
}

fn capacity(text: String) -> News {
    News {
        kind: EventKind::Capacity,
        clusters: Vec::new(),
        queue: None,
        text,
    }
}

#[cfg(test)]
mod tests {
    use shoal_api::plan::CapacityInfo;
    use shoal_runtime::clock::SystemClock;
    use shoal_types::ClusterId;

    use super::*;
    use crate::store::MemoryStore;

    async fn told() -> Told {
        let log = EventLog::load(Arc::new(MemoryStore::new()), SystemClock::new()).await;
        Told::new(Arc::new(log.unwrap()))
    }

    fn texts(told: &mut Told, info: &PlanInfo) -> Vec<String> {
        let news = told.news(info);
        news.into_iter().map(|news| news.text).collect()
    }

    fn lacking(clusters: usize, replacements: usize) -> PlanInfo {
        let needed = CapacityInfo {
            hosts: clusters * 3 + replacements,
            clusters,
            replacements,
        };
        PlanInfo {
            capacity_needed: Some(needed),
            ..PlanInfo::default()
        }
    }

    fn refused(action: &str, queue: &str, why: &str) -> PlanInfo {
        let action = PlannedAction {
            action: action.to_owned(),
            reason: "heat 1.01".to_owned(),
            queue: Some(queue.parse().unwrap()),
            clusters: vec![ClusterId(1), ClusterId(2)],
            begun: false,
            outcome: why.to_owned(),
        };
        PlanInfo {
            actions: vec![action],
            ..PlanInfo::default()
        }
    }

    #[tokio::test]
    async fn missing_hosts_are_told_once_however_many_and_once_that_none_are() {
        let mut told = told().await;
        let first = texts(&mut told, &lacking(2, 0));
        assert_eq!(first, ["capacity needed: 6 hosts, for 2 clusters"]);
        for clusters in [3, 1, 2, 5] {
            assert_eq!(texts(&mut told, &lacking(clusters, 0)), [""; 0]);
        }
        let another = texts(&mut told, &lacking(2, 1));
        let dead = "capacity needed: 1 hosts, for as many dead members";
        assert_eq!(another, [dead], "another reason");
        for _ in 1..ROUNDS_UNTIL_OVER {
            assert_eq!(texts(&mut told, &PlanInfo::default()), [""; 0]);
        }
        let over = texts(&mut told, &PlanInfo::default());
        let over: Vec<&str> = over.iter().map(String::as_str).collect();
        assert_eq!(
            over,
            [
                "no capacity is needed any more for load",
                "no capacity is needed any more for dead members"
            ]
        );
        assert_eq!(texts(&mut told, &PlanInfo::default()), [""; 0]);
        assert_eq!(texts(&mut told, &lacking(0, 1)), [dead], "it is so again");
    }

    /// While a cluster is measured anew the plan says nothing of it, every time that something moved.
    #[tokio::test]
    async fn what_comes_and_goes_from_round_to_round_is_one_reason() {
        let mut told = told().await;
        assert_eq!(texts(&mut told, &lacking(1, 0)).len(), 1);
        for _ in 0..50 {
            for _ in 1..ROUNDS_UNTIL_OVER {
                assert_eq!(texts(&mut told, &PlanInfo::default()), [""; 0]);
            }
            assert_eq!(texts(&mut told, &lacking(1, 0)), [""; 0]);
        }
    }

    #[tokio::test]
    async fn what_is_refused_for_a_cluster_is_told_once_whichever_queue_it_is_about() {
        let mut told = told().await;
        let (off, gone) = ("queues are not moved (`move_queues`)", "the queue is gone");
        let first = texts(&mut told, &refused("move q1 from c1 to c2", "a", off));
        let said =
            "not begun: move q1 from c1 to c2: heat 1.01. queues are not moved (`move_queues`)";
        assert_eq!(first, [said]);
        let same = texts(&mut told, &refused("move q2 from c1 to c2", "b", off));
        assert_eq!(same, [""; 0]);
        let other = texts(&mut told, &refused("move q2 from c1 to c2", "b", gone));
        assert_eq!(other.len(), 1, "another reason");
        // Which queue nobody consumes is what there is to know.
        for (action, queue, count) in [
            ("forward what q1 has on c1", "a", 1),
            ("forward what q2 has on c1", "b", 1),
            ("forward what q1 has on c1", "a", 0),
        ] {
            assert_eq!(texts(&mut told, &refused(action, queue, off)).len(), count);
        }
        let rounds =
            (0..2 * ROUNDS_UNTIL_OVER).flat_map(|_| texts(&mut told, &PlanInfo::default()));
        let over: Vec<String> = rounds.collect();
        assert_eq!(over.len(), 4, "{over:?}");
        assert!(
            over.contains(&format!(
                "no longer so, not begun: move q1 from c1 to c2. {off}"
            )),
            "{over:?}"
        );
    }
}
