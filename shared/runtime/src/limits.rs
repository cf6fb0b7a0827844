//! The bounds of this crate, each with its reason. What a role may want to choose itself is a field
//! of [`crate::http::HttpLimits`] with these as defaults.

use std::time::Duration;

/// Header fields of a request. SDKs send about 15; more is an attack on the parser.
pub const HTTP_HEADERS_MAX: usize = 64;
/// Bytes of a request's line and header fields together; proxies commonly stop at 8 or 16 KiB.
pub const HTTP_HEAD_BYTES_MAX: usize = 16 << 10;
/// Bytes of a request's path and query.
pub const HTTP_URI_BYTES_MAX: usize = 8 << 10;
/// Bytes of a request's body on the wire: a legal 4 MiB batch, of which JSON's `\u00xx` escapes may
/// make six times as much only in theory, so twice is allowed.
pub const HTTP_BODY_BYTES_MAX: usize = 8 << 20;
/// Connections of one listener: about 10 KiB each, so 100 MiB at the bound.
pub const HTTP_CONNECTIONS_MAX: usize = 10_000;
/// From the first byte of a request to the end of its header fields; a slow loris is out after it.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// From the end of the header fields to the end of the body.
pub const HTTP_BODY_TIMEOUT: Duration = Duration::from_secs(30);
/// Between two requests; longer than the idle times of common load balancers (60 s), so that it is
/// they who close and no request meets a closing connection.
pub const HTTP_IDLE_TIMEOUT: Duration = Duration::from_secs(75);
/// Without the client taking a single byte of what is written to it.
pub const HTTP_WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// For requests that are being answered when the drain ends.
pub const HTTP_GRACE: Duration = Duration::from_secs(5);
/// For the answers that say that a request was cut off, from the end of the grace on: a few hundred bytes each.
pub const HTTP_CUT_OFF_WITHIN: Duration = Duration::from_secs(1);
/// For the first request of a connection that was made just before the drain ends: who connects has
/// something to say, and says it after half a round trip, or after TLS at a proxy in between.
pub const HTTP_FIRST_REQUEST_WITHIN: Duration = Duration::from_millis(500);

/// Connections of an admin listener: probes, one scraper, a person.
pub const ADMIN_CONNECTIONS_MAX: usize = 64;
/// Histogram samples wait in memory until they are folded into buckets; this often, so that they stay
/// few even if nobody scrapes.
pub const METRICS_UPKEEP: Duration = Duration::from_secs(5);

/// After an accept that failed (no file descriptors left, mostly): trying at once would only burn CPU.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How fast the offset to wall time may change: the same 500 ppm that NTP allows itself, so that a
/// measured duration is wrong by at most a twentieth of a percent.
pub const SLEW_PPM_MAX: u64 = 500;
