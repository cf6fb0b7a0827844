//! Goal: every decision of the planner is one that a person would understand, and none breaks its bounds.
//! Method: stories of small fleets told in a few lines, then random fleets whose plans are carried out.

mod draining;
mod fleet;
mod health;
mod heat;
mod properties;
mod resizing;
