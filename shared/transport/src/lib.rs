//! Framed, pipelined connections between hosts and from frontends and the manager to hosts.
