//! Placement as a pure function: facts in, an immutable plan with reasons out.
