//! Fingerprints: what makes two values the same for the search.

use std::fmt::{self, Debug};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Deref;

/// A value with the fingerprint of its `Debug` text. Derived `Debug` shows every field, so a field that
/// is new in the engine tells states apart without anyone thinking of it here.
pub struct Printed<T> {
    value: T,
    print: u64,
}

impl<T: Debug> Printed<T> {
    pub(crate) fn new(value: T) -> Self {
        let print = print_of(&value);
        Self { value, print }
    }
}

impl<T> Printed<T> {
    pub(crate) fn print(&self) -> u64 {
        self.print
    }
}

impl<T> Deref for Printed<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T: Debug> Debug for Printed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value.fmt(f)
    }
}

impl<T> Hash for Printed<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.print.hash(state);
    }
}

impl<T> PartialEq for Printed<T> {
    fn eq(&self, other: &Self) -> bool {
        self.print == other.print
    }
}

impl<T> Eq for Printed<T> {}

impl<T> PartialOrd for Printed<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Printed<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.print.cmp(&other.print)
    }
}

/// The number of samples that a windowed maximum was taken over: it makes a difference only beyond
/// [`shoal_replication::limits::RECENT_SAMPLES`], which no world comes near.
const LEFT_OUT: &str = "samples: ";

fn print_of(value: &impl Debug) -> u64 {
    let text = format!("{value:?}");
    let mut hasher = DefaultHasher::new();
    for part in text.split(LEFT_OUT) {
        let part = part.trim_start_matches(|c: char| c.is_ascii_digit());
        part.hash(&mut hasher);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    #[expect(dead_code, reason = "read through Debug")]
    struct Window {
        max: u64,
        samples: u32,
    }

    #[test]
    fn the_number_of_samples_is_all_that_is_left_out() {
        let print = |max, samples| print_of(&vec![Window { max, samples }]);
        assert_eq!(print(7, 1), print(7, 20));
        assert_ne!(print(7, 1), print(8, 1));
    }
}
