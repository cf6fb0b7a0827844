//! The task behind a client: one connection after the other, as long as there is something to ask.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use shoal_types::{Push, WireVersion, decode_frame};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tracing::debug;

use super::{CallError, CallErrorKind, Order, Reply, Shared};
use crate::backoff::Backoff;
use crate::frame::{Frame, Kind};
use crate::handshake::{self, Connection};
use crate::limits;
use crate::liveness::{Liveness, Sign};
use crate::reader::FrameReader;
use crate::writer::WriteBuffer;

/// Runs until the last handle is gone.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::new(limits::CLIENT_BACKOFF_MIN, limits::CLIENT_BACKOFF_MAX);
    let mut not_before = None;
    let mut last_error = String::new();
    while poll_fn(|cx| shared.mailbox.poll_ready(cx)).await {
        if not_before.is_some_and(|time| Instant::now() < time) {
            // Waiting out the pause would only delay those who can go to another host.
            refuse_waiting(&shared, &last_error);
            continue;
        }
        let me = &shared.options.identity;
        match handshake::dial(&shared.address, me, shared.meant()).await {
            Ok(connection) => {
                backoff.reset();
                not_before = None;
                let why = Live::new(&shared, connection).run().await;
                debug!(address = shared.address, why, "connection closed");
            }
            Err(error) => {
                last_error = error.to_string();
                not_before = Some(Instant::now() + backoff.pause());
                refuse_waiting(&shared, &last_error);
            }
        }
    }
}

fn refuse_waiting(shared: &Shared, why: &str) {
    for order in shared.mailbox.take_now() {
        if let Order::Call { reply, .. } = order {
            // The caller may be gone.
            _ = reply.send(Err(CallError::not_sent(
                CallErrorKind::Connect,
                why.to_owned(),
            )));
        }
    }
}

/// A connection that is up.
struct Live<'a> {
    shared: &'a Shared,
    stream: TcpStream,
    reader: FrameReader,
    writer: WriteBuffer,
    version: WireVersion,
    /// Calls that were handed to the writer.
    pending: HashMap<u64, Reply>,
    liveness: Liveness,
}

/// Why a connection ended.
type Reason = String;

impl<'a> Live<'a> {
    fn new(shared: &'a Shared, connection: Connection) -> Self {
        Self {
            shared,
            stream: connection.stream,
            reader: connection.reader,
            writer: WriteBuffer::new(connection.version),
            version: connection.version,
            pending: HashMap::new(),
            liveness: Liveness::new(limits::CLIENT_LIVENESS_TICK, limits::CLIENT_SILENCE_MAX),
        }
    }

    /// Runs to the end of the connection. What still waits to be written then goes to the next one.
    async fn run(mut self) -> Reason {
        let why = poll_fn(|cx| match self.turn(cx) {
            Ok(()) => Poll::Pending,
            Err(why) => Poll::Ready(why),
        })
        .await;
        for reply in self.pending.into_values() {
            _ = reply.send(Err(CallError::closed(why.clone())));
        }
        why
    }

    /// Does what can be done now: read, then take orders, then write everything in one go.
    fn turn(&mut self, cx: &mut Context<'_>) -> Result<(), Reason> {
        self.read(cx)?;
        let ask_after = if self.pending.is_empty() {
            limits::CLIENT_IDLE_PING
        } else {
            limits::CLIENT_LIVENESS_TICK
        };
        match self.liveness.poll(cx, ask_after) {
            Some(Sign::GiveUp) => return Err("the host does not answer".to_owned()),
            Some(Sign::Ask) => self.writer.push(Kind::Ping, 0, Vec::new()),
            None => {}
        }
        loop {
            let took = self.take_orders(cx);
            match self.writer.poll_write(&mut self.stream, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Err(error)) => return Err(error.to_string()),
                // Orders may have been left because too much was waiting to be written.
                Poll::Ready(Ok(())) if took => {}
                Poll::Ready(Ok(())) => break,
            }
        }
        if self.shared.mailbox.is_closed() {
            Err("nobody calls any more".to_owned())
        } else {
            Ok(())
        }
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), Reason> {
        for _ in 0..limits::READS_PER_TURN_MAX {
            while let Some(frame) = self.reader.next().map_err(|e| e.to_string())? {
                self.take_frame(frame)?;
            }
            match self.reader.poll_fill(&mut self.stream, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err("the host closed the connection".to_owned()),
                Poll::Ready(Ok(_)) => self.liveness.heard(),
                Poll::Ready(Err(error)) => return Err(error.to_string()),
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn take_frame(&mut self, frame: Frame) -> Result<(), Reason> {
        match frame.kind {
            Kind::Answer => {
                // Without a reply: the call was cancelled while its answer was on the way.
                if let Some(reply) = self.pending.remove(&frame.id) {
                    _ = reply.send(Ok((self.version, frame.payload)));
                }
            }
            Kind::Push => {
                let push = decode_frame::<Push>(frame.payload).map_err(|e| e.to_string())?;
                (self.shared.options.on_push)(push.head);
            }
            Kind::Pong => {}
            other => return Err(format!("{other:?} frame from a host")),
        }
        Ok(())
    }

    /// Moves what waits into the writer, unless enough is there already. True if there was anything.
    fn take_orders(&mut self, cx: &Context<'_>) -> bool {
        if self.writer.len() > limits::ANSWER_BYTES_HIGH {
            return false;
        }
        let orders = self.shared.mailbox.take(cx);
        let any = !orders.is_empty();
        for order in orders {
            match order {
                Order::Call { id, payload, reply } => {
                    self.pending.insert(id, reply);
                    self.writer.push(Kind::Call, id, payload);
                }
                Order::Cancel { id } => {
                    if self.pending.remove(&id).is_some() {
                        self.writer.push(Kind::Cancel, id, Vec::new());
                    }
                }
            }
        }
        any
    }
}
