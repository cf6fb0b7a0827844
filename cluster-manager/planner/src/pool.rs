//! Pools: which hosts may be in a cluster together. A rack, or the pods of one set, stays one cluster so.

use std::collections::BTreeMap;

/// The pool of a cluster, by those of its members: the one that most of them are of, the smallest name if
/// several are. They differ only while an operator gives hosts another pool, one after the other. `None`
/// if nothing is known of any member.
#[must_use]
pub fn pool_of<'a>(members: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let mut count: BTreeMap<&str, usize> = BTreeMap::new();
    for pool in members {
        *count.entry(pool).or_default() += 1;
    }
    let most = count.values().max().copied()?;
    let pool = count.into_iter().find(|(_, members)| *members == most);
    pool.map(|(pool, _)| pool)
}

/// `" of pool \"a\""`, for hosts in a sentence; nothing for the pool without a name.
pub(crate) fn of(pool: &str) -> String {
    match pool {
        "" => String::new(),
        named => format!(" of pool {named:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::pool_of;

    #[test]
    fn a_cluster_is_of_the_pool_that_most_of_its_members_are_of() {
        assert_eq!(pool_of(["b", "a", "b"]), Some("b"));
        assert_eq!(pool_of(["b", "a"]), Some("a"));
        assert_eq!(pool_of(["", "", "a"]), Some(""));
        assert_eq!(pool_of([]), None);
    }
}
