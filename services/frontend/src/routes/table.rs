//! What is known of queues and clusters. No I/O: pages of the feed and answers of the manager in,
//! routes out.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use shoal_api::manager::Feed;
use shoal_types::{ClusterId, ClusterRoute, QueueName, QueueRoute, Revision};

use crate::limits::QUEUES_MAX;

/// Routes as of a revision, and some newer ones.
#[derive(Default)]
pub(super) struct RouteTable {
    queues: BTreeMap<QueueName, Arc<QueueRoute>>,
    clusters: HashMap<ClusterId, Arc<ClusterRoute>>,
    revision: Revision,
}

impl RouteTable {
    /// Up to where the feed was read without a gap.
    pub(super) fn revision(&self) -> Revision {
        self.revision
    }

    pub(super) fn len(&self) -> usize {
        self.queues.len()
    }

    pub(super) fn queue(&self, name: &QueueName) -> Option<&Arc<QueueRoute>> {
        self.queues.get(name)
    }

    pub(super) fn cluster(&self, cluster: ClusterId) -> Option<&Arc<ClusterRoute>> {
        self.clusters.get(&cluster)
    }

    pub(super) fn clusters(&self) -> impl Iterator<Item = &Arc<ClusterRoute>> {
        self.clusters.values()
    }

    /// Queues whose names start with `prefix` and come after `after`, by name.
    pub(super) fn list<'a>(
        &'a self,
        prefix: &'a str,
        after: Option<&'a QueueName>,
    ) -> impl Iterator<Item = &'a Arc<QueueRoute>> {
        let start = match after {
            Some(after) if after.as_str() >= prefix => Bound::Excluded(after.as_str()),
            _ => Bound::Included(prefix),
        };
        self.queues
            .range::<str, _>((start, Bound::Unbounded))
            .map(|(_, route)| route)
            .take_while(move |route| route.name.as_str().starts_with(prefix))
    }

    /// Takes over one page of the feed.
    pub(super) fn apply(&mut self, page: Feed) {
        for name in page.deleted {
            // A creation that was answered here may be newer than this page.
            if self
                .queues
                .get(&name)
                .is_some_and(|known| known.revision <= page.revision)
            {
                self.queues.remove(&name);
            }
        }
        for route in page.queues {
            self.insert(route);
        }
        for route in page.clusters {
            let known = self.clusters.get(&route.cluster);
            if known.is_none_or(|known| known.revision <= route.revision) {
                self.clusters.insert(route.cluster, Arc::new(route));
            }
        }
        self.revision = page.revision;
    }

    /// Takes over a route from wherever it came, unless a newer one is known. Beyond the bound on
    /// queues a new one is not remembered: it is looked up at every use.
    pub(super) fn insert(&mut self, route: QueueRoute) -> Arc<QueueRoute> {
        if let Some(known) = self.queues.get(&route.name)
            && known.revision > route.revision
        {
            return Arc::clone(known);
        }
        let route = Arc::new(route);
        if self.queues.len() < QUEUES_MAX || self.queues.contains_key(&route.name) {
            self.queues.insert(route.name.clone(), Arc::clone(&route));
        }
        route
    }

    /// The queue is gone, as somebody who knows said of this route.
    pub(super) fn remove(&mut self, name: &QueueName, up_to: Revision) {
        if self
            .queues
            .get(name)
            .is_some_and(|known| known.revision <= up_to)
        {
            self.queues.remove(name);
        }
    }
}

#[cfg(test)]
mod tests {
    use shoal_types::{QueueId, QueueSettings, Ts};

    use super::*;

    fn name(text: &str) -> QueueName {
        text.parse().unwrap()
    }

    fn route(text: &str, revision: u64) -> QueueRoute {
        QueueRoute {
            name: name(text),
            queue: QueueId(revision),
            settings: QueueSettings::default(),
            partitions: Vec::new(),
            revision: Revision(revision),
            created_at: Ts(0),
        }
    }

    fn page(revision: u64, queues: Vec<QueueRoute>, deleted: &[&str]) -> Feed {
        Feed {
            revision: Revision(revision),
            queues,
            deleted: deleted.iter().map(|text| name(text)).collect(),
            ..Feed::default()
        }
    }

    #[test]
    fn an_older_page_does_not_undo_what_was_answered_here() {
        let mut table = RouteTable::default();
        table.insert(route("a", 9));
        table.apply(page(8, vec![route("a", 5)], &[]));
        table.apply(page(8, vec![], &["a"]));
        assert_eq!(table.queue(&name("a")).unwrap().revision, Revision(9));
        table.apply(page(9, vec![], &["a"]));
        assert!(table.queue(&name("a")).is_none());
        assert_eq!(table.revision(), Revision(9));
    }

    #[test]
    fn a_queue_made_again_under_its_name_outlives_the_removal_of_the_old_one() {
        let mut table = RouteTable::default();
        table.insert(route("a", 4));
        table.insert(route("a", 7));
        table.remove(&name("a"), Revision(4));
        assert!(table.queue(&name("a")).is_some());
        table.remove(&name("a"), Revision(7));
        assert!(table.queue(&name("a")).is_none());
    }

    #[test]
    fn lists_go_by_name_from_the_cursor_within_the_prefix() {
        let mut table = RouteTable::default();
        for text in ["b2", "a", "b1", "b3", "c"] {
            table.insert(route(text, 1));
        }
        let names = |prefix, after: Option<&str>| -> Vec<String> {
            let after = after.map(name);
            table
                .list(prefix, after.as_ref())
                .map(|route| route.name.to_string())
                .collect()
        };
        assert_eq!(names("", None), ["a", "b1", "b2", "b3", "c"]);
        assert_eq!(names("b", None), ["b1", "b2", "b3"]);
        assert_eq!(names("b", Some("b1")), ["b2", "b3"]);
        assert_eq!(names("b", Some("c")), [""; 0]);
        assert_eq!(names("b", Some("a")), ["b1", "b2", "b3"]);
    }
}
