//! Which queue has which dead-letter queue, and who is to be told anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use shoal_types::{ClusterId, ClusterMember, QueueName};
use tokio::time::Instant;

use crate::limits::TELL_AGAIN_AFTER;
use crate::queues::name_locks::NameLocks;
use crate::records::{QueueRecord, QueueStage};

/// See the module; bounded by the queues that have a dead-letter queue.
#[derive(Default)]
pub(in crate::queues) struct Table {
    known: Mutex<Known>,
    /// One at a time decides what a queue is told.
    pub(super) telling: NameLocks,
}

#[derive(Default)]
struct Known {
    /// The dead-letter queue of each queue that has one.
    goes_to: BTreeMap<QueueName, QueueName>,
    /// The same the other way round.
    sources: BTreeMap<QueueName, BTreeSet<QueueName>>,
    /// Queues that may have to be told something.
    due: BTreeMap<QueueName, Due>,
    /// The last mark that was given.
    marks: u64,
    /// On which clusters a queue's dead-letter queue is, as it was told.
    told_of: BTreeMap<QueueName, Vec<ClusterId>>,
    /// The clusters' hosts when it was looked last.
    members: BTreeMap<ClusterId, Vec<ClusterMember>>,
}

/// A queue that may have to be told something.
#[derive(Clone, Copy)]
struct Due {
    /// Another one each time that something changes: what was looked at before is not all then.
    mark: u64,
    not_before: Option<Instant>,
}

impl Table {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A queue is new or has changed: it and those whose dead letters it takes may have to be told.
    pub(in crate::queues) fn changed(&self, record: &QueueRecord) {
        if record.stage == QueueStage::Deleting {
            self.gone(&record.name);
            return;
        }
        let mut known = self.known();
        let had_one = known.forget(&record.name);
        known.told_of.remove(&record.name);
        if let Some(to) = record.settings.dead_letter_queue.clone() {
            let sources = known.sources.entry(to.clone()).or_default();
            sources.insert(record.name.clone());
            known.goes_to.insert(record.name.clone(), to);
            known.mark(&record.name);
        } else if had_one {
            known.mark(&record.name);
        }
        known.mark_sources(&record.name);
    }

    /// A queue is gone, or as good as gone.
    pub(in crate::queues) fn gone(&self, name: &QueueName) {
        let mut known = self.known();
        known.forget(name);
        known.due.remove(name);
        known.told_of.remove(name);
        known.mark_sources(name);
    }

    /// The queues whose dead letters this one takes.
    pub(in crate::queues) fn sources(&self, of: &QueueName) -> Vec<QueueName> {
        let known = self.known();
        let sources = known.sources.get(of).into_iter().flatten();
        sources.cloned().collect()
    }

    /// How many queues besides this one have their dead letters go there.
    pub(super) fn others(&self, to: &QueueName, besides: &QueueName) -> usize {
        let known = self.known();
        let sources = known.sources.get(to);
        sources.map_or(0, |all| all.len() - usize::from(all.contains(besides)))
    }

    /// The dead-letter queue of a queue.
    pub(in crate::queues) fn goes_to(&self, name: &QueueName) -> Option<QueueName> {
        self.known().goes_to.get(name).cloned()
    }

    /// A queue whose dead letters this one takes, and that may not know yet where it is now.
    pub(in crate::queues) fn not_told(&self, to: &QueueName) -> Option<QueueName> {
        let known = self.known();
        let mut sources = known.sources.get(to).into_iter().flatten();
        sources.find(|name| known.due.contains_key(*name)).cloned()
    }

    /// The clusters have these hosts: who was told others is due.
    pub(super) fn members_are(&self, members: BTreeMap<ClusterId, Vec<ClusterMember>>) {
        let mut known = self.known();
        let before = std::mem::replace(&mut known.members, members);
        let has_changed = |cluster: &ClusterId| before.get(cluster) != known.members.get(cluster);
        let told_of = known.told_of.iter();
        let due = told_of.filter(|(_, clusters)| clusters.iter().any(has_changed));
        let due: Vec<QueueName> = due.map(|(name, _)| name.clone()).collect();
        due.iter().for_each(|name| known.mark(name));
    }

    /// Those that are to be looked at now, with their marks.
    pub(super) fn due(&self, now: Instant) -> Vec<(QueueName, u64)> {
        let known = self.known();
        let due = known.due.iter();
        let due = due.filter(|(_, due)| due.not_before.is_none_or(|not_before| not_before <= now));
        due.map(|(name, due)| (name.clone(), due.mark)).collect()
    }

    /// A queue knows all that there was to know when it had this mark.
    pub(super) fn done(&self, name: &QueueName, mark: u64) {
        let mut known = self.known();
        if known.due.get(name).is_some_and(|due| due.mark == mark) {
            known.due.remove(name);
        }
    }

    /// A queue could not be told; it is tried again after a while.
    pub(super) fn failed(&self, name: &QueueName, now: Instant) {
        if let Some(due) = self.known().due.get_mut(name) {
            due.not_before = Some(now + TELL_AGAIN_AFTER);
        }
    }

    /// What a queue is told names these clusters.
    pub(super) fn told_of(&self, name: &QueueName, clusters: Vec<ClusterId>) {
        self.known().told_of.insert(name.clone(), clusters);
    }
}

impl Known {
    /// True if it had a dead-letter queue.
    fn forget(&mut self, name: &QueueName) -> bool {
        let Some(to) = self.goes_to.remove(name) else {
            return false;
        };
        if let Some(sources) = self.sources.get_mut(&to) {
            sources.remove(name);
            if sources.is_empty() {
                self.sources.remove(&to);
            }
        }
        true
    }

    fn mark(&mut self, name: &QueueName) {
        self.marks += 1;
        let due = Due {
            mark: self.marks,
            not_before: None,
        };
        self.due.insert(name.clone(), due);
    }

    fn mark_sources(&mut self, of: &QueueName) {
        let sources: Vec<QueueName> = self
            .sources
            .get(of)
            .into_iter()
            .flatten()
            .cloned()
            .collect();
        sources.iter().for_each(|name| self.mark(name));
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{Epoch, HostId, QueueId, QueueSettings, Ts};

    use super::*;

    fn name(text: &str) -> QueueName {
        text.parse().unwrap()
    }

    fn queue(text: &str, to: Option<&str>, stage: QueueStage) -> QueueRecord {
        QueueRecord {
            name: name(text),
            queue: QueueId(1),
            stage,
            settings: QueueSettings {
                dead_letter_queue: to.map(name),
                max_receive_count: to.map(|_| 3),
                ..QueueSettings::default()
            },
            partitions: Vec::new(),
            last_epoch: Epoch(0),
            resized_at: Ts(0),
            created_at: Ts(0),
            changed_at: Ts(0),
        }
    }

    fn due(table: &Table) -> Vec<String> {
        let due = table.due(Instant::now()).into_iter();
        due.map(|(name, mark)| {
            table.done(&name, mark);
            name.to_string()
        })
        .collect()
    }

    #[test]
    fn who_may_have_to_be_told_is_due_and_nobody_else() {
        use QueueStage::{Active, Deleting};
        let table = Table::default();
        for one in ["a", "b"] {
            table.changed(&queue(one, Some("dead"), Active));
        }
        table.changed(&queue("other", None, Active));
        assert_eq!(due(&table), ["a", "b"]);
        table.changed(&queue("other", None, Active));
        assert!(due(&table).is_empty());
        table.changed(&queue("dead", None, Active));
        assert_eq!(due(&table), ["a", "b"], "what they name has changed");
        assert_eq!(table.sources(&name("dead")), [name("a"), name("b")]);
        assert_eq!(table.others(&name("dead"), &name("a")), 1);
        table.changed(&queue("a", None, Active));
        assert_eq!(due(&table), ["a"], "it is to hear that nothing dies");
        table.changed(&queue("dead", None, Deleting));
        assert_eq!(table.not_told(&name("dead")), Some(name("b")));
        assert_eq!(due(&table), ["b"]);
        table.changed(&queue("b", Some("dead"), Deleting));
        assert!(due(&table).is_empty());
        assert!(table.sources(&name("dead")).is_empty());
    }

    #[test]
    fn what_changes_while_a_queue_is_told_is_told_too() {
        let table = Table::default();
        table.changed(&queue("a", Some("dead"), QueueStage::Active));
        let before = table.due(Instant::now());
        table.changed(&queue("dead", None, QueueStage::Active));
        table.done(&before[0].0, before[0].1);
        assert_eq!(table.not_told(&name("dead")), Some(name("a")));
        let now = Instant::now();
        table.failed(&name("a"), now);
        assert!(table.due(now).is_empty(), "not at once again");
        let again = table.due(now + TELL_AGAIN_AFTER);
        table.done(&again[0].0, again[0].1);
        assert_eq!(table.not_told(&name("dead")), None);
    }

    #[test]
    fn who_was_told_of_hosts_that_are_elsewhere_now_is_due() {
        let at = |address: &str| {
            let member = ClusterMember {
                host: HostId(1),
                address: address.to_owned(),
            };
            BTreeMap::from([(ClusterId(1), vec![member])])
        };
        let table = Table::default();
        table.members_are(at("a:1"));
        table.told_of(&name("a"), vec![ClusterId(1)]);
        table.told_of(&name("b"), vec![ClusterId(2)]);
        table.members_are(at("a:1"));
        assert!(due(&table).is_empty());
        table.members_are(at("a:2"));
        assert_eq!(due(&table), ["a"]);
    }
}
