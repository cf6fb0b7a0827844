//! The checkers' names, and which of them are on.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

macro_rules! checkers {
    ($($name:ident = $text:literal: $what:literal;)*) => {
        /// Judges one promise.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[allow(missing_docs, reason = "`what` says it")]
        pub enum Checker { $(#[doc = $what] $name,)* }

        impl Checker {
            /// Every checker.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// What it judges, in a line.
            #[must_use]
            pub fn what(self) -> &'static str {
                match self { $(Self::$name => $what,)* }
            }

            fn text(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }
        }
    };
}

checkers! {
    C0 = "C0": "all hosts execute one order; the reference model gives the same; clients were told what it says";
    C1 = "C1": "an accepted message is received until it is acknowledged, expired or purged";
    C2 = "C2": "what is delivered was sent, byte for byte";
    C3 = "C3": "nothing is delivered after its acknowledge was answered";
    C4 = "C4": "a message is in one receiver's hands at a time";
    C5 = "C5": "a stale receipt neither deletes nor extends";
    C6 = "C6": "numbers grow and leave no gap";
    C7 = "C7": "a send that begins after another was answered gets the larger number";
    C8 = "C8": "a group's next message is delivered only after the one before is gone, to one receive at a time";
    C9 = "C9": "one message per deduplication key and per request";
    C10 = "C10": "a receive with room gives every message that is surely there to be given";
    C11 = "C11": "a message dies after exactly max_receives, and is then in the dead-letter queue once, in its order";
    C12 = "C12": "delays, times to live and retention are kept";
    C13 = "C13": "hosts at the same position have the same state";
    C14 = "C14": "positions, incarnations and receive counts never go back";
    C15 = "C15": "a repeated request gets the first answer again";
    C16 = "C16": "at the end the counts are the model's, and zero";
    C17 = "C17": "each message's history can be put in an order, found without knowing the hosts'";
    Memory = "memory": "what a host promised, accepted or acknowledged, its next life knows";
    Calm = "calm": "while nothing new goes wrong, views settle";
    Assertions = "assertions": "no host stops for a fault of its own";
    Liveness = "liveness": "once faults are over, every operation is answered in time and the queues can be emptied";
    Sometimes = "sometimes": "every rare event that runs should reach is reached";
}

impl fmt::Display for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.text())
    }
}

/// No checker is called that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownChecker(String);

impl fmt::Display for UnknownChecker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no checker is called {:?}; there are", self.0)?;
        Checker::ALL
            .iter()
            .try_for_each(|checker| write!(f, " {checker}"))
    }
}

impl std::error::Error for UnknownChecker {}

impl FromStr for Checker {
    type Err = UnknownChecker;

    /// Takes what `Display` prints, in capitals or not.
    fn from_str(text: &str) -> Result<Self, UnknownChecker> {
        let is_it = |checker: &&Self| checker.text().eq_ignore_ascii_case(text);
        let found = Self::ALL.iter().find(is_it);
        found
            .copied()
            .ok_or_else(|| UnknownChecker(text.to_owned()))
    }
}

/// The checkers that are on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckerSet(BTreeSet<Checker>);

impl Default for CheckerSet {
    fn default() -> Self {
        Self::all()
    }
}

impl CheckerSet {
    /// All.
    #[must_use]
    pub fn all() -> Self {
        Self(Checker::ALL.iter().copied().collect())
    }

    /// These only.
    #[must_use]
    pub fn only(checkers: impl IntoIterator<Item = Checker>) -> Self {
        Self(checkers.into_iter().collect())
    }

    /// All but these.
    #[must_use]
    pub fn without(checkers: impl IntoIterator<Item = Checker>) -> Self {
        let Self(mut on) = Self::all();
        for checker in checkers {
            on.remove(&checker);
        }
        Self(on)
    }

    /// Whether this one is on.
    #[must_use]
    pub fn has(&self, checker: Checker) -> bool {
        self.0.contains(&checker)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_checker_reads_back_what_it_prints() {
        for checker in Checker::ALL {
            assert_eq!(checker.to_string().parse(), Ok(*checker));
        }
        assert_eq!("c10".parse(), Ok(Checker::C10));
        let error = "C99".parse::<Checker>().unwrap_err();
        assert!(error.to_string().contains("C99"), "{error}");
    }

    #[test]
    fn what_is_turned_off_is_off_and_nothing_else() {
        let set = CheckerSet::without([Checker::C3, Checker::Assertions]);
        let off: Vec<_> = Checker::ALL.iter().filter(|c| !set.has(**c)).collect();
        assert_eq!(off, [&Checker::C3, &Checker::Assertions]);
        assert!(CheckerSet::only([Checker::C5]).has(Checker::C5));
        assert!(!CheckerSet::only([Checker::C5]).has(Checker::C4));
    }
}
