//! Where checkers put what they find.

use super::{Checker, CheckerSet, Violation};
use crate::history::SimTime;

/// Violations that one checker reports: the first tell the story.
const PER_CHECKER_MAX: usize = 3;

/// See the module.
pub(super) struct Findings<'a> {
    on: &'a CheckerSet,
    violations: Vec<Violation>,
}

impl<'a> Findings<'a> {
    pub(super) fn new(on: &'a CheckerSet) -> Self {
        Self {
            on,
            violations: Vec::new(),
        }
    }

    /// Notes a violation, if its checker is on and has not said enough.
    pub(super) fn add(&mut self, checker: Checker, at: SimTime, what: impl FnOnce() -> String) {
        let said = self.violations.iter().filter(|v| v.checker == checker);
        if self.on.has(checker) && said.count() < PER_CHECKER_MAX {
            let what = what();
            self.violations.push(Violation { checker, at, what });
        }
    }

    pub(super) fn into_violations(mut self) -> Vec<Violation> {
        self.violations.sort_by_key(|v| (v.checker, v.at));
        self.violations
    }
}
