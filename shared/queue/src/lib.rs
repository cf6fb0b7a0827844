//! All queues of one cluster as a pure state machine: position and command in, outcome out.
