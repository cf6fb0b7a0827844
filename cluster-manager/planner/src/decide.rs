//! The whole decision: the steps of a round in their order.

use shoal_types::Ts;

use crate::facts::Facts;
use crate::round::Round;
use crate::{Plan, Rules, balance, drain, forward, health, merge, overheated};

/// Decides what is to be done about a fleet. A pure function: equal facts, rules and times give equal
/// plans. What it decides is begun at once or not at all; the next round starts from the facts then.
///
/// The order is that of urgency, since one cluster takes part in one thing at a time and a plan is
/// bounded: dead hosts, overheated clusters, clusters that an operator drains, then what saves or evens
/// out.
#[must_use]
pub fn plan(facts: &Facts, rules: &Rules, now: Ts) -> Plan {
    let mut round = Round::new(facts, rules, now);
    health::replace_the_dead(&mut round);
    health::retire_the_empty(&mut round);
    overheated::relieve(&mut round);
    forward::forward_what_is_late(&mut round);
    drain::empty(&mut round);
    merge::merge_what_may_be(&mut round);
    balance::balance(&mut round);
    round.plan
}
