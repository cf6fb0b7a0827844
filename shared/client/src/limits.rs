//! The bounds of this crate, each with its reason.

use std::time::Duration;

/// Frontends of one client. Each is tried once at most in a call, so it is also how often one is sent.
pub(crate) const FRONTENDS_MAX: usize = 64;
/// For an answer: longer than any receive waits (20 s) plus its deadline.
pub(crate) const ANSWER_TIMEOUT: Duration = Duration::from_secs(40);
/// For a connection to the only frontend there is: four attempts of the kernel.
pub(crate) const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// For a connection if there are others to go to: two attempts of the kernel, the second after a second.
pub(crate) const CONNECT_TIMEOUT_OF_SEVERAL: Duration = Duration::from_secs(2);
/// Longest time for which a connection is kept that nothing is asked on. A frontend that stops closes those on
/// which nothing was asked since it began to, two seconds before unless configured otherwise: half of that,
/// and no request is ever written to a connection that is just being closed. Another connection costs a
/// round trip, once a second at most.
pub(crate) const IDLE_MAX: Duration = Duration::from_secs(1);
/// First pause for a frontend that could not be reached, or said that it closes the connection; doubled with
/// each failure in a row, up to [`PAUSE_MAX`]. A frontend that is started again is back in about a second.
pub(crate) const PAUSE_MIN: Duration = Duration::from_millis(500);
/// Longest pause: one call in so long meets a frontend that is still lost, and another one helps it.
pub(crate) const PAUSE_MAX: Duration = Duration::from_secs(15);
