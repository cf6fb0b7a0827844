//! The bounds of this crate, each with its reason.

use std::time::Duration;

/// From accepting or dialling to the end of the handshake; a stranger who says nothing is out after it.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(3);
/// Bytes of a handshake frame's payload: ids, a version range and an address.
pub const HANDSHAKE_BYTES_MAX: usize = 1_024;
/// For a TCP connection to be made: several round trips over the widest zone, and a lost SYN is
/// repeated by a new attempt rather than by TCP after a second.
pub const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// Connections that a host takes: its peers, and every frontend a few times over.
pub const CONNECTIONS_MAX: usize = 1_024;
/// Calls of one connection at once, at either end: as many as waiting receives of one frontend may
/// be, each about 1 KiB. More are answered "busy".
pub const CALLS_PER_CONNECTION_MAX: usize = 16_384;
/// Bytes of calls that wait at a client to be written; more are answered "busy".
pub const CLIENT_QUEUE_BYTES_MAX: usize = 64 << 20;
/// Bytes of answers that wait to be written, above which a host reads no further calls from the
/// connection: a client that does not read is slowed down.
pub const ANSWER_BYTES_HIGH: usize = 4 << 20;
/// Bytes of answers that wait to be written, above which the connection is closed: the calls that ran
/// already may still add to [`ANSWER_BYTES_HIGH`], but not without end.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Pushes that wait at a connection. A push replaces what earlier ones said, so the oldest goes.
pub const PUSHES_WAITING_MAX: usize = 64;
/// Bytes that wait for one peer. More than a second of traffic: the peer is stuck, and the connection
/// is dropped so that both sides start over from what each really has.
pub const PEER_QUEUE_BYTES_MAX: usize = 32 << 20;

/// Bytes asked for with one read; about 60 small frames.
pub const READ_CHUNK_BYTES: usize = 64 << 10;
/// A read with less room than this is not worth its system call; a new chunk is begun.
pub const READ_ROOM_BYTES_MIN: usize = 4 << 10;
/// Reads of one connection before others get their turn.
pub const READS_PER_TURN_MAX: usize = 16;
/// Pieces up to so many bytes are copied together; below it a copy is cheaper than one more slice in a
/// vectored write, and keeping the original alive.
pub const COPY_BYTES_MAX: usize = 4 << 10;
/// Slices of one vectored write; Linux takes up to 1,024, but the socket's buffer is full long before.
pub const WRITE_SLICES_MAX: usize = 64;

/// First pause after a dial of a client failed; it doubles up to [`CLIENT_BACKOFF_MAX`].
pub const CLIENT_BACKOFF_MIN: Duration = Duration::from_millis(20);
/// Longest pause of a client; meanwhile calls fail at once and can go elsewhere.
pub const CLIENT_BACKOFF_MAX: Duration = Duration::from_secs(1);
/// First pause after a dial of a peer failed; it doubles up to [`PEER_BACKOFF_MAX`].
pub const PEER_BACKOFF_MIN: Duration = Duration::from_millis(5);
/// Longest pause of a peer: a restarted host is back in the mesh within a tenth of a second.
pub const PEER_BACKOFF_MAX: Duration = Duration::from_millis(100);
/// A peer that keeps refusing is reported so often; each report may start a change of view.
pub const PEER_REFUSED_EVENT_EVERY: Duration = Duration::from_millis(100);
/// How often a connection looks whether the other side is still there.
pub const CLIENT_LIVENESS_TICK: Duration = Duration::from_millis(500);
/// A client with nothing to ask says so every so often, to learn of a dead host before the next call.
pub const CLIENT_IDLE_PING: Duration = Duration::from_secs(10);
/// A host that answers nothing at all for so long is given up, and with it what waits for it.
pub const CLIENT_SILENCE_MAX: Duration = Duration::from_secs(2);
/// Peers look more often: a connection cut by the network must be replaced soon after it heals, sooner
/// than TCP would repeat what got lost.
pub const PEER_LIVENESS_TICK: Duration = Duration::from_millis(200);
/// As [`CLIENT_SILENCE_MAX`], for peers.
pub const PEER_SILENCE_MAX: Duration = Duration::from_millis(1_500);
/// Whoever dials pings, so a connection that is silent for so long is dead.
pub const SERVER_SILENCE_MAX: Duration = Duration::from_secs(30);
/// For calls under way when the shutdown begins; a host answers or refuses them all well within it.
pub const SHUTDOWN_GRACE: Duration = Duration::from_secs(5);
/// After an accept that failed (no file descriptors left, mostly): trying at once would only burn CPU.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
