//! A connection from a frontend, a manager or a client: calls in, answers and news out.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::{AbortHandle, Abortable};
use futures_util::stream::{FuturesUnordered, Stream};
use shoal_runtime::shutdown::Shutdown;
use shoal_types::{ErrorCode, HostRequest, Refusal, Ts, WireVersion};
use tokio::net::TcpStream;
use tokio::time::{Instant, Interval, interval_at};
use tracing::debug;

use super::end::End;
use super::pushes::{News, Subscription};
use super::{HostService, Pusher};
use crate::call::{self, Response};
use crate::frame::{Frame, Kind};
use crate::handshake::Connection;
use crate::reader::FrameReader;
use crate::writer::WriteBuffer;
use crate::{limits, metric_names};

/// Serves the connection to its end.
pub(super) async fn serve<S: HostService>(
    connection: Connection,
    service: &Arc<S>,
    pusher: &Pusher,
    shutdown: &Shutdown,
) {
    let caller = Arc::new(connection.remote);
    let start = |id, request, bodies, wait| {
        let answer = Arc::clone(service).call(Arc::clone(&caller), request, bodies, wait);
        async move { (id, answer.await) }
    };
    let mut serving = Serving {
        stream: connection.stream,
        reader: connection.reader,
        writer: WriteBuffer::new(connection.version),
        version: connection.version,
        start,
        calls: FuturesUnordered::new(),
        running: HashMap::new(),
        subscription: pusher.subscribe(),
        silence: interval_at(
            Instant::now() + limits::SERVER_SILENCE_MAX,
            limits::SERVER_SILENCE_MAX,
        ),
        heard: true,
        stopping: false,
    };
    let mut stop = pin!(shutdown.triggered());
    let end = poll_fn(|cx| {
        serving.stopping = serving.stopping || stop.as_mut().poll(cx).is_ready();
        serving.turn(cx)
    })
    .await;
    end.count();
    metrics::counter!(metric_names::CALLS_DROPPED).increment(serving.running.len() as u64);
    debug!(role = caller.role.label(), %end, "connection closed");
}

/// A connection that is being served. `start` begins a call; the futures it gives live in `calls`,
/// so a call needs no task of its own.
struct Serving<F, Start> {
    stream: TcpStream,
    reader: FrameReader,
    writer: WriteBuffer,
    version: WireVersion,
    start: Start,
    calls: FuturesUnordered<Abortable<F>>,
    /// The calls that are neither answered nor cancelled.
    running: HashMap<u64, AbortHandle>,
    subscription: Subscription,
    silence: Interval,
    /// Something came in since `silence` last looked.
    heard: bool,
    stopping: bool,
}

impl<F, Start> Serving<F, Start>
where
    F: Future<Output = (u64, Response)>,
    Start: Fn(u64, HostRequest, Vec<Bytes>, Duration) -> F,
{
    /// Does what can be done now: read calls, run them, write all answers in one go.
    fn turn(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        loop {
            let slowed_down = self.writer.len() > limits::ANSWER_BYTES_HIGH;
            if !slowed_down
                && !self.stopping
                && let Err(end) = self.read(cx)
            {
                return Poll::Ready(end);
            }
            self.take_answers(cx);
            for News(payload) in self.subscription.news.take(cx) {
                self.writer.push(Kind::Push, 0, vec![payload]);
            }
            if self.writer.len() > limits::ANSWER_BYTES_MAX {
                return Poll::Ready(End::NotReading);
            }
            let written = self.writer.poll_write(&mut self.stream, cx);
            if let Poll::Ready(Err(error)) = written {
                return Poll::Ready(End::Io(error));
            }
            // Room again for answers, so calls that were left unread are read now.
            if !(slowed_down && self.writer.len() <= limits::ANSWER_BYTES_HIGH) {
                break;
            }
        }
        if self.stopping && self.running.is_empty() && self.writer.len() == 0 {
            return Poll::Ready(End::Shutdown);
        }
        self.check_silence(cx)
    }

    fn read(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        for _ in 0..limits::READS_PER_TURN_MAX {
            while let Some(frame) = self.reader.next().map_err(End::BadFrame)? {
                self.take_frame(frame)?;
            }
            match self.reader.poll_fill(&mut self.stream, cx) {
                Poll::Pending => return Ok(()),
                Poll::Ready(Ok(0)) => return Err(End::Closed),
                Poll::Ready(Ok(_)) => self.heard = true,
                Poll::Ready(Err(error)) => return Err(End::Io(error)),
            }
        }
        cx.waker().wake_by_ref();
        Ok(())
    }

    fn take_frame(&mut self, frame: Frame) -> Result<(), End> {
        match frame.kind {
            Kind::Call if self.running.contains_key(&frame.id) => Err(End::RepeatedId(frame.id)),
            Kind::Call => {
                self.begin_call(frame.id, frame.payload);
                Ok(())
            }
            Kind::Cancel => {
                // Not running: the answer and the cancellation crossed.
                if let Some(call) = self.running.remove(&frame.id) {
                    call.abort();
                    metrics::counter!(metric_names::CALLS_DROPPED).increment(1);
                }
                Ok(())
            }
            Kind::Ping => {
                self.writer.push(Kind::Pong, frame.id, Vec::new());
                Ok(())
            }
            other => Err(End::Unexpected(other)),
        }
    }

    fn begin_call(&mut self, id: u64, payload: Bytes) {
        if self.running.len() >= limits::CALLS_PER_CONNECTION_MAX {
            metrics::counter!(metric_names::CALLS_BUSY, "side" => "host").increment(1);
            return self.refuse(id, ErrorCode::Busy, "too many calls on this connection");
        }
        match call::decode_call(payload) {
            Ok((request, bodies, wait)) => {
                let (handle, registration) = AbortHandle::new_pair();
                let answer = (self.start)(id, request, bodies, wait);
                self.calls.push(Abortable::new(answer, registration));
                self.running.insert(id, handle);
            }
            // The frame is whole, so this is a request that this build does not know.
            Err(_) => self.refuse(
                id,
                ErrorCode::InvalidRequest,
                "not a request that this host knows",
            ),
        }
    }

    fn refuse(&mut self, id: u64, code: ErrorCode, detail: &'static str) {
        let result = Err(Refusal::not_applied(code, detail));
        self.answer(
            id,
            Response {
                clock: Ts::ZERO,
                result,
                bodies: Vec::new(),
            },
        );
    }

    fn answer(&mut self, id: u64, response: Response) {
        self.writer.push(
            Kind::Answer,
            id,
            call::encode_answer(self.version, response),
        );
    }

    fn take_answers(&mut self, cx: &mut Context<'_>) {
        while let Poll::Ready(Some(ended)) = Pin::new(&mut self.calls).poll_next(cx) {
            // Cancelled calls end as `Err`; one that was ready at that moment is no longer running.
            if let Ok((id, response)) = ended
                && self.running.remove(&id).is_some()
            {
                self.answer(id, response);
            }
        }
    }

    fn check_silence(&mut self, cx: &mut Context<'_>) -> Poll<End> {
        while self.silence.poll_tick(cx).is_ready() {
            if !std::mem::take(&mut self.heard) {
                return Poll::Ready(End::Silent);
            }
        }
        Poll::Pending
    }
}
