//! The stateless edge: REST in, commands to any host of the queue's cluster out.
