//! A host's outgoing links to the other members of its cluster.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use shoal_runtime::telemetry::RateLimit;
use shoal_types::{ClusterMember, HostId, Incarnation, WireVersion};
use tokio::net::TcpStream;
use tokio::runtime::Handle;
use tokio::sync::{Notify, mpsc};
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tracing::{debug, info, warn};

use crate::backoff::Backoff;
use crate::call::payload_bytes;
use crate::frame::{HEADER_BYTES, Kind};
use crate::handshake::{self, Connection, HandshakeError, Meant, Sought};
use crate::identity::{Identity, Remote};
use crate::liveness::{Liveness, Sign};
use crate::mailbox::{Mailbox, NotTaken, Weight};
use crate::reader::FrameReader;
use crate::writer::WriteBuffer;
use crate::{limits, metric_names};

/// What happens between a host and its peers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerEvent {
    /// Our link to the peer is up; what is sent from now on goes to this life of it.
    Up {
        /// Which peer.
        peer: HostId,
        /// Which start of its process.
        incarnation: Incarnation,
        /// True if it said that it belongs to a cluster.
        assigned: bool,
    },
    /// Our link was up and is gone, with everything that waited on it. It is being dialled again.
    Closed {
        /// Which peer.
        peer: HostId,
    },
    /// Nobody listens at the peer's address.
    Refused {
        /// Which peer.
        peer: HostId,
    },
    /// A host looks for another one at our address.
    Sought(Sought),
    /// A peer sent something over its own link to us.
    Frame {
        /// Which peer.
        from: HostId,
        /// Which start of its process.
        incarnation: Incarnation,
        /// How it is encoded.
        version: WireVersion,
        /// What it sent.
        bytes: Bytes,
    },
}

/// One connection to each other member, dialled by us and used for sending only. Events go to the
/// channel that was given, as whatever its owner makes of a [`PeerEvent`].
#[derive(Debug)]
pub struct PeerLinks<E> {
    me: Identity,
    events: mpsc::Sender<E>,
    links: BTreeMap<HostId, Link>,
    runtime: Handle,
}

#[derive(Debug)]
struct Link {
    shared: Arc<Shared>,
    task: AbortHandle,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<E: From<PeerEvent> + Send + 'static> PeerLinks<E> {
    /// No links yet.
    ///
    /// # Panics
    /// Outside of a tokio runtime. The other methods may be called from any thread.
    #[must_use]
    pub fn new(me: Identity, events: mpsc::Sender<E>) -> Self {
        Self {
            me,
            events,
            links: BTreeMap::new(),
            runtime: Handle::current(),
        }
    }

    /// These are the members now, ourselves included or not: new ones are dialled, links to others
    /// end without an event, and links whose address changed dial the new one from the next time on.
    pub fn set_members(&mut self, members: &[ClusterMember]) {
        self.links
            .retain(|host, _| members.iter().any(|member| member.host == *host));
        for member in members
            .iter()
            .filter(|member| member.host != self.me.host_id())
        {
            if self.links.contains_key(&member.host) {
                self.set_address(member.host, &member.address);
            } else {
                let shared = Arc::new(Shared::new(member));
                let dialling = run(Arc::clone(&shared), self.me.clone(), self.events.clone());
                let task = self.runtime.spawn(dialling).abort_handle();
                self.links.insert(member.host, Link { shared, task });
            }
        }
    }

    /// A member listens elsewhere now. If its link is not up, the new address is dialled at once.
    pub fn set_address(&self, host: HostId, address: &str) {
        let Some(link) = self.links.get(&host) else {
            return;
        };
        let mut known = link
            .shared
            .address
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        if *known != address {
            address.clone_into(&mut known);
            link.shared.redial.notify_one();
        }
    }

    /// Sends a frame of the pieces that `encode` makes for the link's version, at most
    /// [`shoal_types::limits::FRAME_BYTES_MAX`] together. Never waits: false if the link is not up, or just
    /// went down because too much was waiting on it.
    pub fn send(&self, to: HostId, encode: impl FnOnce(WireVersion) -> Vec<Bytes>) -> bool {
        let link = self.links.get(&to);
        let up = link.and_then(|link| Some((link, link.shared.version()?)));
        up.is_some_and(|(link, version)| {
            let chunks = encode(version);
            link.shared.send(Outgoing { version, chunks })
        })
    }
}

/// What the handle and the link's task share.
#[derive(Debug)]
struct Shared {
    peer: HostId,
    address: Mutex<String>,
    redial: Notify,
    mailbox: Mailbox<Outgoing>,
    /// What is spoken on the link; 0 while it is not up.
    version: AtomicU16,
    overflowed: AtomicBool,
}

/// The pieces of a frame's payload, and how they are encoded.
#[derive(Debug)]
struct Outgoing {
    version: WireVersion,
    chunks: Vec<Bytes>,
}

impl Weight for Outgoing {
    fn weight(&self) -> usize {
        HEADER_BYTES + payload_bytes(&self.chunks)
    }
}

impl Shared {
    fn new(member: &ClusterMember) -> Self {
        Self {
            peer: member.host,
            address: Mutex::new(member.address.clone()),
            redial: Notify::new(),
            mailbox: Mailbox::new(),
            version: AtomicU16::new(0),
            overflowed: AtomicBool::new(false),
        }
    }

    /// What is spoken on the link, if it is up.
    fn version(&self) -> Option<WireVersion> {
        WireVersion::numbered(self.version.load(Ordering::Acquire))
    }

    fn send(&self, frame: Outgoing) -> bool {
        match self.mailbox.push(frame, limits::PEER_QUEUE_BYTES_MAX) {
            Ok(()) => true,
            Err(NotTaken::Closed) => unreachable!("a link's mailbox is never closed"),
            Err(NotTaken::Full) => {
                if !self.overflowed.swap(true, Ordering::AcqRel) {
                    metrics::counter!(metric_names::PEER_OVERFLOWS).increment(1);
                    warn!(peer = %self.peer, "too much waits for the peer, dropping the connection");
                    self.mailbox.wake_owner();
                }
                false
            }
        }
    }

    /// From here on frames are taken; none is left of an earlier connection.
    fn set_up(&self, version: WireVersion) {
        self.mailbox.take_now();
        self.overflowed.store(false, Ordering::Release);
        self.version.store(version.number(), Ordering::Release);
    }

    fn set_down(&self) {
        self.version.store(0, Ordering::Release);
        self.mailbox.take_now();
    }
}

/// Dials again and again until nobody takes the events any more (or the link is aborted).
async fn run<E: From<PeerEvent>>(shared: Arc<Shared>, me: Identity, events: mpsc::Sender<E>) {
    static NO_LINK: RateLimit = RateLimit::new(Duration::from_secs(5));
    let peer = shared.peer;
    let mut backoff = Backoff::new(limits::PEER_BACKOFF_MIN, limits::PEER_BACKOFF_MAX);
    let mut refused_at: Option<Instant> = None;
    while !events.is_closed() {
        let address = shared
            .address
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let meant = Meant {
            host: Some(peer),
            cluster: me.shown().cluster,
        };
        match handshake::dial(&address, &me, meant).await {
            Ok(connection) => {
                let Remote {
                    incarnation,
                    cluster,
                    ..
                } = connection.remote;
                let up = PeerEvent::Up {
                    peer,
                    incarnation,
                    assigned: cluster.is_some(),
                };
                let began = Instant::now();
                metrics::counter!(metric_names::PEER_CONNECTS).increment(1);
                let version = connection.version;
                info!(%peer, address, %incarnation, %version, "link to peer is up");
                shared.set_up(version);
                _ = events.send(up.into()).await;
                let why = Live::new(&shared, connection).run().await;
                shared.set_down();
                info!(%peer, why, "link to peer is down");
                _ = events.send(PeerEvent::Closed { peer }.into()).await;
                // At once, unless it goes up and down faster than that.
                if began.elapsed() > limits::PEER_BACKOFF_MAX {
                    backoff.reset();
                    continue;
                }
            }
            Err(error) => {
                debug!(%peer, address, %error, "no link to peer");
                let due =
                    refused_at.is_none_or(|at| at.elapsed() >= limits::PEER_REFUSED_EVENT_EVERY);
                if is_refusal(&error) && due {
                    refused_at = Some(Instant::now());
                    _ = events.send(PeerEvent::Refused { peer }.into()).await;
                }
                if !matches!(error, HandshakeError::Io(_))
                    && let Some(passed_over) = NO_LINK.allow()
                {
                    warn!(%peer, address, %error, passed_over, "no link to peer");
                }
            }
        }
        // A new address ends the pause.
        _ = tokio::time::timeout(backoff.pause(), shared.redial.notified()).await;
    }
}

/// True if nobody listens there.
fn is_refusal(error: &HandshakeError) -> bool {
    matches!(error, HandshakeError::Io(e) if e.kind() == io::ErrorKind::ConnectionRefused)
}

/// A link that is up.
struct Live<'a> {
    shared: &'a Shared,
    stream: TcpStream,
    reader: FrameReader,
    writer: WriteBuffer,
    version: WireVersion,
    liveness: Liveness,
    /// Looked up once: there is an addition for every turn.
    sent_bytes: metrics::Counter,
}

impl<'a> Live<'a> {
    fn new(shared: &'a Shared, connection: Connection) -> Self {
        Self {
            shared,
            stream: connection.stream,
            reader: connection.reader,
            writer: WriteBuffer::new(connection.version),
            version: connection.version,
            liveness: Liveness::new(limits::PEER_LIVENESS_TICK, limits::PEER_SILENCE_MAX),
            sent_bytes: metrics::counter!(metric_names::PEER_SENT_BYTES),
        }
    }

    async fn run(mut self) -> String {
        poll_fn(|cx| match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(why) => Poll::Ready(why),
        })
        .await
    }

    /// Does what can be done now: see whether the peer is there, then write everything in one go.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        self.read(cx)?;
        match self.liveness.poll(cx, limits::PEER_LIVENESS_TICK) {
            Some(Sign::GiveUp) => return Err("the peer does not answer".to_owned()),
            Some(Sign::Ask) => self.writer.push(Kind::Ping, 0, Vec::new()),
            None => {}
        }
        loop {
            let took = self.take_frames(cx);
            if self.shared.overflowed.load(Ordering::Acquire) {
                return Err("too much waits for the peer".to_owned());
            }
            let before = self.writer.len();
            let written = self.writer.poll_write(&mut self.stream, cx);
            self.sent_bytes
                .increment((before - self.writer.len()) as u64);
            match written {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error.to_string()),
                // Frames may have been left because too much was waiting to be written.
                Poll::Ready(Ok(())) if took => {}
                Poll::Ready(Ok(())) => return Ok(()),
            }
        }
    }

    /// The peer says nothing here but that it is there; the end of the stream is what matters.
    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), String> {
        while let Poll::Ready(read) = self.reader.poll_fill(&mut self.stream, cx) {
            match read {
                Ok(0) => return Err("the peer closed the connection".to_owned()),
                Ok(_) => self.liveness.heard(),
                Err(error) => return Err(error.to_string()),
            }
            while let Some(frame) = self.reader.next().map_err(|e| e.to_string())? {
                if frame.kind != Kind::Pong {
                    return Err(format!(
                        "{:?} frame on a link that is for sending",
                        frame.kind
                    ));
                }
            }
        }
        Ok(())
    }

    /// Moves what waits into the writer, unless enough is there already. True if there was anything.
    fn take_frames(&mut self, cx: &Context<'_>) -> bool {
        if self.writer.len() > limits::ANSWER_BYTES_HIGH {
            return false;
        }
        let frames = self.shared.mailbox.take(cx);
        let any = !frames.is_empty();
        for Outgoing { version, chunks } in frames {
            // Of another version: encoded for the connection before this one, and lost with it.
            if version == self.version {
                self.writer.push(Kind::Peer, 0, chunks);
            }
        }
        any
    }
}
