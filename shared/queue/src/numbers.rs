//! A set of message numbers as runs of neighbours, bounded: when there are too many runs, two neighbouring
//! ones become one with all that is between them.

use serde::{Deserialize, Serialize};
use shoal_types::limits::FORWARDED_RUNS_MAX;

/// First and last of each run; ascending, and never next to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Numbers(Vec<(u64, u64)>);

impl Numbers {
    pub(crate) fn insert(&mut self, number: u64) {
        let runs = &mut self.0;
        let at = runs.partition_point(|(_, last)| last + 1 < number);
        match runs.get_mut(at) {
            Some((first, last)) if *first <= number + 1 => {
                *first = (*first).min(number);
                *last = (*last).max(number);
                // It may have closed the gap to the next one.
                let last = *last;
                if runs.get(at + 1).is_some_and(|(next, _)| last + 1 >= *next) {
                    runs[at].1 = runs.remove(at + 1).1;
                }
            }
            _ => runs.insert(at, (number, number)),
        }
        if runs.len() > FORWARDED_RUNS_MAX {
            runs[0].1 = runs.remove(1).1;
        }
    }

    pub(crate) fn contains(&self, number: u64) -> bool {
        let at = self.0.partition_point(|(_, last)| *last < number);
        self.0.get(at).is_some_and(|(first, _)| *first <= number)
    }

    /// Bytes.
    pub(crate) fn memory(&self) -> usize {
        self.0.capacity() * size_of::<(u64, u64)>()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn whatever_the_order_it_contains_what_was_put_in_and_nothing_else() {
        let mut numbers = Numbers::default();
        let mut expected = BTreeSet::new();
        for n in 0..2_000u64 {
            let number = (n * 733) % 2_003 / 2 * 3 / 2;
            numbers.insert(number);
            expected.insert(number);
        }
        for number in 0..3_100 {
            assert_eq!(
                numbers.contains(number),
                expected.contains(&number),
                "{number}"
            );
        }
        let apart = |runs: &[(u64, u64)]| runs[0].1 + 1 < runs[1].0;
        assert!(numbers.0.windows(2).all(apart));
    }

    #[test]
    fn with_too_many_runs_it_contains_too_much_rather_than_too_little() {
        let mut numbers = Numbers::default();
        for n in 0..=FORWARDED_RUNS_MAX as u64 {
            numbers.insert(10 * n);
        }
        assert_eq!(numbers.0.len(), FORWARDED_RUNS_MAX);
        assert_eq!(numbers.0[0], (0, 10));
        assert!(numbers.contains(5) && !numbers.contains(15));
    }
}
