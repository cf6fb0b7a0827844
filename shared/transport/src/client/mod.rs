//! Calling a host.

mod connection;
mod error;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use shoal_types::limits::FRAME_BYTES_MAX;
use shoal_types::{Applied, ClusterId, HostId, HostRequest, Push, WireVersion};
use tokio::sync::oneshot;

pub use error::{CallError, CallErrorKind};

use crate::call::{self, Response};
use crate::frame::HEADER_BYTES;
use crate::handshake::Meant;
use crate::identity::{Identity, Role};
use crate::limits;
use crate::mailbox::{Mailbox, NotTaken, Weight};
use crate::metric_names;

/// How a client introduces itself and whom it means.
#[derive(Clone)]
pub struct ClientOptions {
    /// Who calls.
    pub identity: Identity,
    /// The host that must answer at the address, if that is known.
    pub host: Option<HostId>,
    /// The cluster that the host must belong to, if it belongs to one.
    pub cluster: Option<ClusterId>,
    /// Takes what hosts tell without being asked. Runs on the connection's task: it must be quick.
    pub on_push: Arc<dyn Fn(Push) + Send + Sync>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            identity: Identity::caller(Role::Client),
            host: None,
            cluster: None,
            on_push: Arc::new(|_| {}),
        }
    }
}

/// Calls one host over one connection, which is made at the first call and again at the first call
/// after it broke. Any number of calls run at once and are answered in any order. Clones share the
/// connection; with the last of them it closes.
#[derive(Clone)]
pub struct HostClient {
    shared: Arc<Shared>,
    _closer: Arc<Closer>,
}

/// What the handles and the connection's task share.
struct Shared {
    address: String,
    options: ClientOptions,
    mailbox: Mailbox<Order>,
    next_id: AtomicU64,
    in_flight: AtomicUsize,
}

/// What a handle asks of the connection's task.
enum Order {
    /// Write this and answer here.
    Call {
        id: u64,
        payload: Vec<Bytes>,
        reply: Reply,
    },
    /// Nobody waits for the answer any more.
    Cancel { id: u64 },
}

/// Where the payload of an answer goes, and the version that it is of.
type Reply = oneshot::Sender<Result<(WireVersion, Bytes), CallError>>;

impl Weight for Order {
    fn weight(&self) -> usize {
        match self {
            Self::Call { payload, .. } => HEADER_BYTES + call::payload_bytes(payload),
            Self::Cancel { .. } => HEADER_BYTES,
        }
    }
}

impl HostClient {
    /// A client of the host at `address` (`name:port`). Connects when it has something to ask.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    #[must_use]
    pub fn new(address: impl Into<String>, options: ClientOptions) -> Self {
        let shared = Arc::new(Shared {
            address: address.into(),
            options,
            mailbox: Mailbox::new(),
            next_id: AtomicU64::new(1),
            in_flight: AtomicUsize::new(0),
        });
        tokio::spawn(connection::run(Arc::clone(&shared)));
        let closer = Arc::new(Closer(Arc::clone(&shared)));
        Self {
            shared,
            _closer: closer,
        }
    }

    /// What is dialled.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.shared.address
    }

    /// Calls that wait for their answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.shared.in_flight.load(Ordering::Relaxed)
    }

    /// Asks the host and waits for its answer, at most for `deadline`, which the host is told too.
    /// Bodies are those of a send, one per item. Dropping the future cancels the call at the host.
    ///
    /// # Errors
    /// If there is no answer; the error says whether the host may have got the call. What the host
    /// refuses is no error here, but in the response.
    pub async fn call(
        &self,
        request: &HostRequest,
        bodies: &[Bytes],
        deadline: Duration,
    ) -> Result<Response, CallError> {
        let _counted = self.count()?;
        let payload = call::encode_call(request, bodies, deadline);
        if call::payload_bytes(&payload) > FRAME_BYTES_MAX {
            return Err(CallError::not_sent(
                CallErrorKind::TooLarge,
                "the call does not fit into a frame",
            ));
        }
        let id = self.shared.next_id.fetch_add(1, Ordering::Relaxed);
        let (reply, answer) = oneshot::channel();
        self.shared.order(Order::Call { id, payload, reply })?;

        let mut waiting = Waiting {
            shared: &self.shared,
            id: Some(id),
        };
        let answered = tokio::time::timeout(deadline, answer).await;
        let Ok(answered) = answered else {
            let applied = waiting.withdraw();
            return Err(CallError::new(
                CallErrorKind::TimedOut,
                applied,
                "no answer in time",
            ));
        };
        waiting.id = None;
        let (version, payload) =
            answered.unwrap_or_else(|_| Err(CallError::closed("the client is closed")))?;
        call::decode_answer(version, payload)
            .map_err(|e| CallError::new(CallErrorKind::Malformed, Applied::Unknown, e.to_string()))
    }

    fn count(&self) -> Result<Counted<'_>, CallError> {
        let counted = Counted(&self.shared.in_flight);
        if self.shared.in_flight.fetch_add(1, Ordering::Relaxed) >= limits::CALLS_PER_CONNECTION_MAX
        {
            return Err(busy("too many calls to this host"));
        }
        Ok(counted)
    }
}

impl fmt::Debug for HostClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let in_flight = self.in_flight();
        f.debug_struct("HostClient")
            .field("address", &self.shared.address)
            .field("in_flight", &in_flight)
            .finish()
    }
}

impl Shared {
    fn order(&self, order: Order) -> Result<(), CallError> {
        self.mailbox
            .push(order, limits::CLIENT_QUEUE_BYTES_MAX)
            .map_err(|why| match why {
                NotTaken::Full => busy("too many bytes wait to be sent to this host"),
                NotTaken::Closed => {
                    CallError::not_sent(CallErrorKind::Closed, "the client is closed")
                }
            })
    }

    fn meant(&self) -> Meant {
        Meant {
            host: self.options.host,
            cluster: self.options.cluster,
        }
    }
}

fn busy(why: &'static str) -> CallError {
    metrics::counter!(metric_names::CALLS_BUSY, "side" => "client").increment(1);
    CallError::not_sent(CallErrorKind::Busy, why)
}

/// Closes the connection when the last handle goes.
struct Closer(Arc<Shared>);

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.mailbox.close();
    }
}

/// A call that is counted as in flight.
struct Counted<'a>(&'a AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A call whose answer is awaited. Dropped before that, it takes the call back or cancels it.
struct Waiting<'a> {
    shared: &'a Shared,
    id: Option<u64>,
}

impl Waiting<'_> {
    /// Says whether the host may have got the call.
    fn withdraw(&mut self) -> Applied {
        let Some(id) = self.id.take() else {
            return Applied::Unknown;
        };
        let is_it = |order: &Order| matches!(order, Order::Call { id: of, .. } if *of == id);
        if self.shared.mailbox.take_back(is_it).is_some() {
            return Applied::No;
        }
        // At the bound the cancellation is lost and the host answers in vain.
        _ = self
            .shared
            .mailbox
            .push(Order::Cancel { id }, limits::CLIENT_QUEUE_BYTES_MAX);
        Applied::Unknown
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.withdraw();
    }
}
