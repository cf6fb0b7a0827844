//! The queue-cluster manager: which queue is on which cluster, who is there, what changes.
