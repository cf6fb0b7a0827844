//! Which message groups of a successor wait until older messages of theirs are gone from what it follows.

use std::collections::{BTreeMap, BTreeSet};

use shoal_types::{GroupHash, GroupName, HeldGroups, group_hash};

/// Groups by the hash of their names: those that share one are held together.
#[derive(Debug, Default)]
pub(crate) struct Held {
    /// How many of those followed hold all groups.
    all: u32,
    groups: BTreeMap<GroupHash, HeldGroup>,
}

#[derive(Debug, Default)]
struct HeldGroup {
    /// How many of those followed hold it.
    by: u32,
    /// Those that have messages here, and so are to be let go later.
    waiting: BTreeSet<GroupName>,
}

impl Held {
    /// One more of those followed holds these. Done before any message of theirs is here.
    pub(crate) fn hold(&mut self, groups: &HeldGroups) {
        match groups {
            HeldGroups::None => {}
            HeldGroups::All => self.all += 1,
            HeldGroups::These(hashes) => {
                for hash in hashes {
                    self.groups.entry(*hash).or_default().by += 1;
                }
            }
        }
    }

    /// One of those followed does not hold these any more. Gives the groups with messages here that
    /// nothing holds one by one any more.
    pub(crate) fn let_go(&mut self, groups: &HeldGroups) -> Vec<GroupName> {
        let mut free = Vec::new();
        match groups {
            HeldGroups::None => {}
            HeldGroups::All => self.all -= 1,
            HeldGroups::These(hashes) => {
                for hash in hashes {
                    let group = self.groups.get_mut(hash).expect("it is held");
                    group.by -= 1;
                    if group.by == 0 {
                        let group = self.groups.remove(hash).expect("it was there");
                        free.extend(group.waiting);
                    }
                }
            }
        }
        free
    }

    /// The group has its first message here: is it held?
    pub(crate) fn arrived(&mut self, name: &GroupName) -> bool {
        if self.groups.is_empty() {
            return false;
        }
        let Some(group) = self.groups.get_mut(&group_hash(name)) else {
            return false;
        };
        group.waiting.insert(GroupName::clone(name))
    }

    /// The last message here of a held group is gone.
    pub(crate) fn left(&mut self, name: &GroupName) {
        if let Some(group) = self.groups.get_mut(&group_hash(name)) {
            group.waiting.remove(name);
        }
    }

    /// The same groups held, none of them with messages.
    pub(crate) fn without_messages(&self) -> Self {
        let group = |(hash, group): (&GroupHash, &HeldGroup)| {
            let group = HeldGroup {
                by: group.by,
                waiting: BTreeSet::new(),
            };
            (*hash, group)
        };
        Self {
            all: self.all,
            groups: self.groups.iter().map(group).collect(),
        }
    }

    /// True if no group at all is to be handed out.
    pub(crate) fn is_all(&self) -> bool {
        self.all > 0
    }

    pub(crate) fn is_none(&self) -> bool {
        self.all == 0 && self.groups.is_empty()
    }

    /// The groups that are held one by one, ascending.
    pub(crate) fn hashes(&self) -> impl Iterator<Item = GroupHash> {
        self.groups.keys().copied()
    }

    /// Bytes.
    pub(crate) fn memory(&self) -> usize {
        let waiting = self.groups.values().map(|group| group.waiting.len());
        crate::memory::tree(self.groups.len(), size_of::<(GroupHash, HeldGroup)>())
            + crate::memory::tree(waiting.sum(), size_of::<GroupName>())
    }
}
