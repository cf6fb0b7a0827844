//! Replication inside a cluster: lanes, clocks, views. Inputs in, outputs out, no I/O.
