//! Calls of frontends and the manager: into the loop, and back out with their bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use shoal_transport::{HostService, Remote, Response};
use shoal_types::{ErrorCode, HostReply, HostRequest, HostStatus, Refusal, Ts};
use tokio::sync::{mpsc, oneshot, watch};

use crate::bodies::BodyReader;
use crate::core::OperationId;
use crate::driver::Input;

/// Answers on the host's port.
pub(crate) struct Service {
    inputs: mpsc::Sender<Input>,
    bodies: BodyReader,
    status: watch::Receiver<HostStatus>,
    last_operation: AtomicU64,
}

impl Service {
    pub(crate) fn new(
        inputs: mpsc::Sender<Input>,
        bodies: BodyReader,
        status: watch::Receiver<HostStatus>,
    ) -> Self {
        Self {
            inputs,
            bodies,
            status,
            last_operation: AtomicU64::new(0),
        }
    }

    async fn ask_loop(&self, request: HostRequest, bodies: Vec<Bytes>) -> Response {
        let operation = OperationId(self.last_operation.fetch_add(1, Ordering::Relaxed) + 1);
        let (reply, answer) = oneshot::channel();
        let mut guard = CancelGuard {
            operation,
            inputs: Some(&self.inputs),
        };
        let call = Input::Call {
            operation,
            request,
            bodies,
            reply,
        };
        if self.inputs.send(call).await.is_err() {
            guard.defuse();
            return self.refused("this host is stopping", Refusal::not_applied);
        }
        let mut waits = answer;
        loop {
            let answer = waits.await;
            guard.defuse();
            let Ok((clock, answer)) = answer else {
                return self.refused("this host stopped before it answered", Refusal::unknown);
            };
            let unreadable = match self.bodies.complete(answer).await {
                Ok((result, bodies)) => {
                    return Response {
                        clock,
                        result,
                        bodies,
                    };
                }
                Err(unreadable) => unreadable,
            };
            // A body that is moved while it is read is read again; one that is damaged comes from a
            // peer. The core answers in bounded time, with an error if it must.
            let (reply, again) = oneshot::channel();
            waits = again;
            guard.inputs = Some(&self.inputs);
            let unreadable = Input::Unreadable {
                operation,
                answer: unreadable,
                reply,
            };
            if self.inputs.send(unreadable).await.is_err() {
                guard.defuse();
                return self.refused("this host is stopping", Refusal::unknown);
            }
        }
    }

    fn refused(
        &self,
        why: &'static str,
        applied: fn(ErrorCode, &'static str) -> Refusal,
    ) -> Response {
        let refusal = applied(ErrorCode::NotReady, why);
        Response {
            clock: self.clock(),
            result: Err(refusal),
            bodies: Vec::new(),
        }
    }

    fn clock(&self) -> Ts {
        self.status.borrow().clock
    }
}

impl HostService for Service {
    async fn call(
        self: Arc<Self>,
        _caller: Arc<Remote>,
        request: HostRequest,
        bodies: Vec<Bytes>,
        _wait: Duration,
    ) -> Response {
        if let HostRequest::Status = request {
            let status = self.status.borrow().clone();
            let clock = status.clock;
            return Response {
                clock,
                result: Ok(HostReply::Status(Box::new(status))),
                bodies: Vec::new(),
            };
        }
        if let Err(refusal) = request.check_ranges() {
            return Response {
                clock: self.clock(),
                result: Err(refusal),
                bodies: Vec::new(),
            };
        }
        self.ask_loop(request, bodies).await
    }
}

/// Tells the loop if the call is dropped before it was answered.
struct CancelGuard<'a> {
    operation: OperationId,
    inputs: Option<&'a mpsc::Sender<Input>>,
}

impl CancelGuard<'_> {
    fn defuse(&mut self) {
        self.inputs = None;
    }
}

impl Drop for CancelGuard<'_> {
    fn drop(&mut self) {
        let Some(inputs) = self.inputs else { return };
        let cancel = Input::Cancel(self.operation);
        if let Err(mpsc::error::TrySendError::Full(cancel)) = inputs.try_send(cancel) {
            // The loop is behind; it must still learn of it, or a waiter would be kept for nobody.
            let inputs = inputs.clone();
            tokio::spawn(async move { inputs.send(cancel).await });
        }
    }
}
