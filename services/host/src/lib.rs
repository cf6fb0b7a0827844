//! One host of a cluster: a thin driver around the replication engine, the queues and the log.
